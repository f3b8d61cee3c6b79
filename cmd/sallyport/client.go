package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"sallyport/internal/app"
	"sallyport/internal/config"
	"sallyport/internal/console"
)

// client speaks to the gateway that owns a data folder.
type client struct {
	http  http.Client
	close func()
}

// maxAnswer bounds what is read of one answer of the admin API.
const maxAnswer = 256 << 20

// connect finds the running gateway of the data folder, or opens the folder in
// this process when there is none. A folder that was never used is opened only
// for a verb that founds one.
func (f *flags) connect(ctx context.Context) (*client, error) {
	dir, err := f.dataDir()
	if err != nil {
		return nil, err
	}
	if c, err := running(ctx, dir); c != nil || err != nil {
		return c, err
	}
	if !f.founds && !app.Founded(dir) {
		return nil, errors.New("the folder " + dir + " holds no data of Sallyport; name another one with --data, or start with: sallyport serve --data " + dir)
	}
	a, err := app.New(ctx, f.inProcess(dir))
	if err != nil {
		return nil, owned(err)
	}
	return newClient(app.SocketPath(dir), func() {
		if err := a.Stop(context.WithoutCancel(ctx)); err != nil {
			fmt.Fprintln(os.Stderr, "sallyport:", visibleText(err.Error()))
		}
	}), nil
}

// running is a client of the gateway that has the data folder open; nil when none has.
func running(ctx context.Context, dir string) (*client, error) {
	path := app.SocketPath(dir)
	conn, err := app.DialSocket(ctx, path)
	switch {
	case err == nil:
		conn.Close()
		return newClient(path, func() {}), nil
	case errors.Is(err, os.ErrPermission):
		return nil, &exitError{exitAuth, "the data folder " + dir + " belongs to another user; run this as that user, or name another folder with --data"}
	}
	return nil, nil
}

// inProcess is how a verb opens a data folder that no gateway has open.
func (f *flags) inProcess(dir string) app.Options {
	return app.Options{
		ConfigFile: f.config, Data: dir, Version: version(), Env: os.LookupEnv, Notice: io.Discard, SocketOnly: true,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	}
}

// owned explains that somebody has the folder whose socket does not answer.
func owned(err error) error {
	if errors.Is(err, app.ErrRunning) {
		return &exitError{exitUnreachable, "the gateway of this data folder is starting or does not answer; try again"}
	}
	return err
}

// dataDir is the folder that the flags or the configuration name.
func (f *flags) dataDir() (string, error) {
	switch {
	case f.data != "":
		return f.data, nil
	case f.config == "":
		return config.Default().Data, nil
	}
	c, err := config.Load(f.config)
	if err != nil {
		return "", err
	}
	return c.Data, nil
}

func newClient(socket string, close func()) *client {
	return &client{
		http: http.Client{Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return app.DialSocket(ctx, socket) },
		}},
		close: close,
	}
}

// call sends one request to the admin API and decodes its answer.
func (c *client) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encode the request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://sallyport/api/v1"+path, body)
	if err != nil {
		return fmt.Errorf("make the request: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return unreachable(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return unreachable(err)
	}
	if resp.StatusCode != http.StatusOK {
		return refused(resp.StatusCode, b)
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("the gateway's answer is not what this version expects: %w", err)
	}
	return nil
}

func unreachable(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return &exitError{exitUnreachable, "the gateway does not answer: " + err.Error()}
}

// refused turns a problem document into a failure with the fitting exit code.
func refused(status int, b []byte) error {
	var p console.Problem
	if json.Unmarshal(b, &p) != nil || p.Detail == "" {
		p.Detail = fmt.Sprintf("the gateway answered with status %d", status)
	}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return &exitError{exitAuth, p.Detail}
	case http.StatusBadRequest:
		return &exitError{exitUsage, p.Detail}
	}
	return errors.New(p.Detail)
}

// ask connects, calls once, and closes.
func ask[T any](ctx context.Context, f *flags, method, path string, in any) (T, error) {
	var out T
	c, err := f.connect(ctx)
	if err != nil {
		return out, err
	}
	defer c.close()
	err = c.call(ctx, method, path, in, &out)
	return out, err
}

// pollEvery is how often a following verb looks for news.
const pollEvery = 500 * time.Millisecond
