package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/atollsync/atoll/peer"
	"github.com/atollsync/atoll/storage"
)

// busyPatience is how long a command waits for another one that has the directory open.
const busyPatience = 10 * time.Second

// client speaks to the control handlers of a data directory: over its socket
// if a node runs there, else in this process, on the directory itself.
type client struct {
	http    http.Client
	running bool // a node runs: peers may be connected
	close   func() error
}

// with calls fn with a client of the data directory.
func (a *app) with(ctx context.Context, fn func(*client) error) error {
	dir, err := a.dataDir()
	if err != nil {
		return err
	}
	c, err := dial(ctx, dir)
	if err != nil {
		return err
	}
	return errors.Join(fn(c), c.close())
}

// dial returns a client for dir. A directory that another command has open for a
// moment is waited for.
func dial(ctx context.Context, dir string) (*client, error) {
	if c := dialNode(ctx, dir); c != nil {
		return c, nil
	}
	db, err := openWhenFree(ctx, dir)
	if err != nil {
		if c := dialNode(ctx, dir); c != nil {
			return c, nil // it was a node, about to listen
		}
		return nil, err
	}
	node, err := peer.Open(peer.Config{Storage: db, NoMDNS: true, Logger: quietLogger()})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return newInProcess(newControl(node, db, nil), func() error { return errors.Join(node.Close(), db.Close()) }), nil
}

// dialNode returns a client of the node that runs in dir, nil if none does.
func dialNode(ctx context.Context, dir string) *client {
	conn, err := dialControl(ctx, dir)
	if err != nil {
		return nil
	}
	conn.Close()
	t := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dialControl(ctx, dir) }}
	return &client{http: http.Client{Transport: t}, running: true,
		close: func() error { t.CloseIdleConnections(); return nil }}
}

// openWhenFree opens dir, waiting for a short command that has it open. A node that runs there is an error at once.
func openWhenFree(ctx context.Context, dir string) (*storage.DB, error) {
	deadline := time.Now().Add(busyPatience)
	for {
		db, err := storage.Open(dir)
		if !errors.Is(err, storage.ErrInUse) || time.Now().After(deadline) {
			return db, err
		}
		if conn, dialErr := dialControl(ctx, dir); dialErr == nil {
			conn.Close()
			return nil, fmt.Errorf("a node runs already: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// newInProcess returns a client of handlers in this process. close is called when they have ended.
func newInProcess(handler http.Handler, close func() error) *client {
	t := &inProcess{handler: handler}
	return &client{http: http.Client{Transport: t}, close: func() error {
		t.handlers.Wait()
		return close()
	}}
}

// inProcess is an http.RoundTripper that calls a handler in this process, streaming what it writes.
type inProcess struct {
	handler  http.Handler
	handlers sync.WaitGroup
}

// RoundTrip implements http.RoundTripper.
func (t *inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(req.Context())
	r, w := io.Pipe()
	rec := &pipeWriter{header: http.Header{}, body: w, begun: make(chan struct{})}
	if req.Body == nil {
		req.Body = http.NoBody
	}
	req = req.WithContext(ctx)
	t.handlers.Go(func() {
		defer req.Body.Close()
		t.handler.ServeHTTP(rec, req)
		rec.WriteHeader(http.StatusOK)
		w.Close()
	})
	<-rec.begun
	return &http.Response{
		Status: http.StatusText(rec.status), StatusCode: rec.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: rec.header, Body: &cancelReader{r, cancel}, ContentLength: -1, Request: req,
	}, nil
}

// pipeWriter is the http.ResponseWriter of inProcess.
type pipeWriter struct {
	header http.Header
	body   *io.PipeWriter
	status int
	once   sync.Once
	begun  chan struct{} // closed when status is known
}

func (w *pipeWriter) Header() http.Header { return w.header }

func (w *pipeWriter) WriteHeader(status int) {
	w.once.Do(func() { w.status = status; close(w.begun) })
}

func (w *pipeWriter) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}

// Flush implements http.Flusher: nothing is held back.
func (w *pipeWriter) Flush() { w.WriteHeader(http.StatusOK) }

// cancelReader ends the handler when the reader of its answer goes away.
type cancelReader struct {
	*io.PipeReader
	cancel context.CancelFunc
}

func (r *cancelReader) Close() error {
	r.cancel()
	return r.PipeReader.Close()
}

// do sends a request and returns the answer's body, which the caller closes.
func (c *client) do(ctx context.Context, method, path string, in any) (io.ReadCloser, error) {
	var body io.Reader
	switch in := in.(type) {
	case nil:
	case io.Reader:
		body = in
	default:
		b, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://atoll"+path, body)
	if err != nil {
		return nil, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		var e *url.Error
		if errors.As(err, &e) {
			err = e.Err // the address in it means nothing to people
		}
		return nil, fmt.Errorf("talk to the node: %w", err)
	}
	if res.StatusCode == http.StatusOK {
		return res.Body, nil
	}
	defer res.Body.Close()
	f := &failure{}
	if err := json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(f); err != nil || f.Message == "" {
		f.Message = fmt.Sprintf("the node answered %d to %s %s: is it another version of atoll?", res.StatusCode, method, path)
	}
	f.Status = res.StatusCode
	return nil, f
}

// call sends in and reads the answer into out. Either may be nil; an in that is an io.Reader is sent as it is.
func (c *client) call(ctx context.Context, method, path string, in, out any) error {
	body, err := c.do(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer body.Close()
	if out == nil {
		_, err := io.Copy(io.Discard, body)
		return err
	}
	if err := json.NewDecoder(body).Decode(out); err != nil {
		return fmt.Errorf("read the node's answer: %w", err)
	}
	return nil
}

// lines sends in and calls yield with each line of the answer.
func lines[T any](ctx context.Context, c *client, method, path string, in any, yield func(T) error) error {
	body, err := c.do(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer body.Close()
	dec := json.NewDecoder(body)
	for {
		var line struct {
			Error *failure `json:"error"`
			Line  *T       `json:"line"`
			End   bool     `json:"end"`
		}
		switch err := dec.Decode(&line); {
		case err != nil && ctx.Err() != nil:
			return context.Cause(ctx)
		case err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF):
			return errors.New("the node went away")
		case err != nil:
			return fmt.Errorf("read the node's answer: %w", err)
		}
		switch {
		case line.Error != nil:
			return line.Error
		case line.End:
			return nil
		case line.Line != nil:
			if err := yield(*line.Line); err != nil {
				return err
			}
		}
	}
}

// storePath returns the path of what is asked about a store.
func storePath(store, what string, query ...string) string {
	// A store may be named "..", which unescaped means another path.
	path := "/v1/stores/" + strings.ReplaceAll(url.PathEscape(store), ".", "%2E")
	if what != "" {
		path += "/" + what
	}
	values := url.Values{}
	for i := 0; i+1 < len(query); i += 2 {
		if query[i+1] != "" {
			values.Set(query[i], query[i+1])
		}
	}
	if len(values) > 0 {
		path += "?" + values.Encode()
	}
	return path
}
