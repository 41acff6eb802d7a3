package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/peer"
	"github.com/atollsync/atoll/storage"
)

// maxRequestBytes bounds what a control request may carry: a document to import is the largest.
const maxRequestBytes = 256 << 20

// failure is an error as it travels from the control handlers to the command line.
type failure struct {
	Status  int    `json:"-"` // HTTP
	Message string `json:"error"`
	Hint    string `json:"hint,omitempty"` // what the user can do
}

func (f *failure) Error() string { return f.Message }

// control serves a node to the command line: requests and answers are JSON, and what
// takes time or has no end is JSON lines. It is reached through a socket that only the
// user can open, or from within the process, so it asks for no other credentials.
type control struct {
	node *peer.Node
	db   *storage.DB
	mux  *http.ServeMux
	// running is whether the node's network runs, in this process; else nobody but this command's own handlers is there.
	running bool
}

// newControl returns the handlers for node, which lives in db. metrics is given if the node runs.
func newControl(node *peer.Node, db *storage.DB, metrics *prometheus.Registry) http.Handler {
	c := &control{node: node, db: db, mux: http.NewServeMux(), running: metrics != nil}
	c.answer("GET /v1/status", c.status)
	c.answer("GET /v1/peers", c.peers)
	c.answer("POST /v1/peers", c.connect)
	c.answer("GET /v1/stores", c.stores)
	c.answer("POST /v1/stores", c.create)
	c.answer("POST /v1/join", c.join)
	c.answer("GET /v1/stores/{store}/ticket", c.ticket)
	c.answer("POST /v1/stores/{store}/name", c.rename)
	c.answer("DELETE /v1/stores/{store}", c.forget)
	c.answer("GET /v1/stores/{store}/value", c.value)
	c.answer("POST /v1/stores/{store}/edit", c.edit)
	c.answer("GET /v1/stores/{store}/conflicts", c.conflicts)
	c.answer("GET /v1/stores/{store}/blame", c.blame)
	c.answer("GET /v1/stores/{store}/diff", c.diff)
	c.answer("POST /v1/stores/{store}/undo", c.undo)
	c.answer("POST /v1/stores/{store}/document", c.importDocument)
	c.stream("GET /v1/stores/{store}/watch", c.watch)
	c.stream("GET /v1/stores/{store}/log", c.log)
	c.answer("POST /v1/backup", c.backup)
	c.stream("POST /v1/verify", c.verify)
	if metrics != nil {
		c.mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	}
	return c.mux
}

// answer serves a handler that returns one value.
func (c *control) answer(pattern string, handle func(*http.Request) (any, error)) {
	c.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxRequestBytes)
		v, err := handle(r)
		w.Header().Set("Content-Type", "application/json")
		if err != nil {
			f := c.explain(err)
			w.WriteHeader(f.Status)
			v = f
		}
		writeJSONLine(w, v)
	})
}

// stream serves a handler that writes any number of lines. Each travels as {"line": ...};
// the last is {"end": true} or {"error": ...}, so that a reader knows it has them all. An error
// before the first line is answered as answer does.
func (c *control) stream(pattern string, handle func(r *http.Request, line func(any) error) error) {
	c.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxRequestBytes)
		w.Header().Set("Content-Type", "application/jsonl")
		flush := http.NewResponseController(w).Flush
		begun := false
		line := func(v any) error {
			begun = true
			if err := writeJSONLine(w, map[string]any{"line": v}); err != nil {
				return err
			}
			return flush()
		}
		if err := handle(r, line); err != nil {
			f := c.explain(err)
			if begun {
				writeJSONLine(w, map[string]any{"error": f})
				return
			}
			w.WriteHeader(f.Status)
			writeJSONLine(w, f)
			return
		}
		writeJSONLine(w, map[string]any{"end": true})
	})
}

// explain turns an error into what the user should read.
func (c *control) explain(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	f = &failure{Status: http.StatusUnprocessableEntity, Message: err.Error()}
	switch {
	case errors.Is(err, context.Canceled) || errors.Is(err, peer.ErrClosed):
		// The caller cannot have gone: it would not ask why.
		f.Status, f.Message = http.StatusServiceUnavailable, "the node has stopped"
	case errors.Is(err, peer.ErrExists):
		f.Status = http.StatusConflict
		f.Hint = "atoll stores lists what is here; atoll rename frees the name"
	case errors.Is(err, peer.ErrReadOnly):
		f.Hint = "atoll status says why; atoll verify checks what is on disk"
	case errors.Is(err, crdt.ErrInvalid):
		f.Hint = fmt.Sprintf("one change holds at most %s on %d slices: write or import it in parts", byteSize(crdt.MaxChangeBytes), crdt.MaxGroups)
	case errors.Is(err, peer.ErrUnknownVersion) || errors.Is(err, crdt.ErrAhead):
		f.Hint = "a version is made of dots that this device holds, as atoll log --json prints them"
	case errors.Is(err, peer.ErrTicket):
		f.Status = http.StatusBadRequest
		f.Hint = "a ticket is the one long word that atoll ticket STORE prints on the other device"
	}
	return f
}

// store returns the store a request names.
func (c *control) store(r *http.Request) (*peer.Store, error) {
	name := r.PathValue("store")
	s, err := c.node.Store(name)
	if !errors.Is(err, peer.ErrNoStore) {
		return s, err
	}
	f := &failure{Status: http.StatusNotFound, Message: fmt.Sprintf("no store %q here", name)}
	var names []string
	for _, s := range c.node.Stores() {
		names = append(names, s.Name)
	}
	slices.Sort(names)
	if len(names) == 0 {
		f.Hint = "there is none yet: atoll create NAME makes one, atoll join TICKET joins another device's"
	} else {
		f.Hint = "there is " + strings.Join(names, ", ")
	}
	return nil, f
}

// read decodes the body of a request.
func read(r *http.Request, v any) error {
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return badRequest("request: %v", err)
	}
	return nil
}

func badRequest(format string, args ...any) error {
	return &failure{Status: http.StatusBadRequest, Message: fmt.Sprintf(format, args...)}
}

// needsNode refuses what takes a running node.
func (c *control) needsNode(what string) error {
	if c.running {
		return nil
	}
	return &failure{Status: http.StatusServiceUnavailable,
		Message: fmt.Sprintf("no node runs in %s: %s takes one", c.db.Dir(), what),
		Hint:    "start it in another terminal: atoll start"}
}

// dots returns a version as it is printed and read back.
func dots(v crdt.Version) []string {
	out := make([]string, len(v))
	for i, d := range v {
		out[i] = d.Text()
	}
	return out
}

// quietLogger discards what a node logs while it serves a single command.
func quietLogger() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }
