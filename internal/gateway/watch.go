package gateway

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// Why an attempt was cancelled, as the context's cause.
var (
	errTotal      = errors.New("total time exceeded")
	errFirstFrame = errors.New("no first frame in time")
	errStall      = errors.New("no further frame in time")
)

// watch cancels an attempt when its next sign of life does not come in time, or
// when the whole takes too long: one timer, set anew at every frame.
type watch struct {
	timer  *time.Timer
	end    time.Time // of the whole
	reason atomic.Pointer[error]
}

// newWatch starts to wait for the first frame.
func newWatch(cancel context.CancelCauseFunc, first time.Duration, end time.Time) *watch {
	w := &watch{end: end}
	first = w.next(first, &errFirstFrame)
	w.timer = time.AfterFunc(first, func() { cancel(*w.reason.Load()) })
	return w
}

// next cuts a wait to what is left of the whole and notes why it would end.
func (w *watch) next(d time.Duration, reason *error) time.Duration {
	if left := time.Until(w.end); left < d {
		d, reason = max(left, 0), &errTotal
	}
	w.reason.Store(reason)
	return d
}

// alive waits anew, for at most d.
func (w *watch) alive(d time.Duration) { w.timer.Reset(w.next(d, &errStall)) }

// stop ends the watch.
func (w *watch) stop() { w.timer.Stop() }
