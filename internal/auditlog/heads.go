package auditlog

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"sallyport/internal/record"
)

// Bounds of the heads file: it is compacted when it has grown by headsSlack
// lines since the last compaction, which keeps the headsRecent newest lines and
// the first and last of each day.
const (
	headsSlack  = 4096
	headsRecent = 1024
)

const dayMicros = 86400e6

// headsFile remembers published checkpoints outside the database: one canonical
// record.Head a line, mode 0600, each line synced before the next step. A log
// that is rolled back together with its checkpoints no longer agrees with it.
type headsFile struct {
	path  string // empty: nothing is remembered
	f     *os.File
	lines int // since the last compaction
	slack int // headsSlack
}

// openHeads opens or creates the file and returns the greatest head in it that
// was signed under this origin and key. A torn last line, which a crash leaves,
// is cut off.
func openHeads(path string, v note.Verifier) (*headsFile, tlog.Tree, error) {
	var last tlog.Tree
	if path == "" {
		return &headsFile{}, last, nil
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, last, fmt.Errorf("heads file: %w", err)
	}
	h := &headsFile{path: path, f: f, slack: headsSlack}
	err = h.cutTorn()
	var all []remembered
	if err == nil {
		all, err = readHeads(path)
	}
	if err != nil {
		return nil, last, errors.Join(err, f.Close())
	}
	h.lines = len(all)
	all = slices.DeleteFunc(all, func(m remembered) bool { return m.err != nil || m.head.Origin != v.Name() })
	slices.SortStableFunc(all, func(a, b remembered) int { return cmp.Compare(b.head.Size, a.head.Size) })
	for _, m := range all {
		if last, err = openCheckpoint(m.head.Note, v); err == nil {
			break
		}
	}
	return h, last, nil
}

// cutTorn removes what follows the last whole line.
func (h *headsFile) cutTorn() error {
	raw, err := os.ReadFile(h.path)
	if err != nil {
		return fmt.Errorf("heads file: %w", err)
	}
	whole := bytes.LastIndexByte(raw, '\n') + 1
	if whole == len(raw) {
		return nil
	}
	if err := h.f.Truncate(int64(whole)); err != nil {
		return fmt.Errorf("heads file: %w", err)
	}
	return nil
}

// add appends a head and syncs it.
func (h *headsFile) add(head *record.Head) error {
	if h.f == nil {
		return nil
	}
	if h.lines >= h.slack {
		if err := h.compact(); err != nil {
			return fmt.Errorf("compact heads file: %w", err)
		}
	}
	if _, err := h.f.Write(append(head.Append(nil), '\n')); err != nil {
		return fmt.Errorf("heads file: %w", err)
	}
	if err := h.f.Sync(); err != nil {
		return fmt.Errorf("heads file: %w", err)
	}
	h.lines++
	return nil
}

// compact replaces the file by a shorter one. A crash leaves the old or the new
// file, whole.
func (h *headsFile) compact() error {
	raw, err := os.ReadFile(h.path)
	if err != nil {
		return err
	}
	kept := bytes.Join(keepHeads(bytes.SplitAfter(raw, []byte{'\n'})), nil)
	tmp := h.path + ".new"
	f, err := os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(kept)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(tmp, h.path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(h.path))
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	old := h.f
	h.f, h.lines = f, 0
	return old.Close()
}

// keepHeads selects what a compaction keeps. A line that is not a head is kept:
// it is for a verification to report.
func keepHeads(lines [][]byte) [][]byte {
	days := make([]int64, len(lines))
	for i, line := range lines {
		if r, err := record.Decode(bytes.TrimSuffix(line, []byte{'\n'})); err == nil && r.Head != nil {
			days[i] = r.Head.TS / dayMicros
		} else {
			days[i] = -1
		}
	}
	var kept [][]byte
	for i, line := range lines {
		first := i == 0 || days[i-1] != days[i]
		last := i == len(lines)-1 || days[i+1] != days[i]
		if first || last || days[i] < 0 || i >= len(lines)-headsRecent {
			kept = append(kept, line)
		}
	}
	return kept
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (h *headsFile) close() error {
	if h.f == nil {
		return nil
	}
	return h.f.Close()
}

// remembered is one line of a heads file.
type remembered struct {
	line int // counted from 1
	head *record.Head
	err  error // why the line is not a head

	// Set by a verification.
	verifier note.Verifier // of its origin
	era      *era          // that the origin names, unless it is the present one
}

// readHeads reads a heads file without changing it; no file is no heads. A torn
// last line is left out.
func readHeads(path string) ([]remembered, error) {
	if path == "" {
		return nil, nil
	}
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("heads file: %w", err)
	}
	var all []remembered
	for line := range bytes.Lines(raw[:bytes.LastIndexByte(raw, '\n')+1]) {
		m := remembered{line: len(all) + 1}
		r, err := record.Decode(bytes.TrimSuffix(line, []byte{'\n'}))
		switch {
		case err != nil:
			m.err = err
		case r.Head == nil:
			m.err = fmt.Errorf("a record of kind %q is no head", r.Kind)
		default:
			m.head = r.Head
		}
		all = append(all, m)
	}
	return all, nil
}
