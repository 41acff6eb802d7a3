package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/atollsync/atoll/crdt"
)

// Formats of a document to import.
const (
	formatAuto  = "auto" // redux-persist if it says so itself, else json
	formatJSON  = "json"
	formatRedux = "redux-persist"
)

func newImportCommand(a *app) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "import STORE FILE.json",
		Short: "Read a JSON document into a store",
		Long: `Read a JSON document into a store, in one change: its top-level keys are slices, objects
become maps, arrays lists, all else registers. What is unchanged is not written, and nothing
is deleted. FILE - is standard input.

A redux-persist dump, in which each top-level string is JSON itself, is known by its
_persist entry, which is dropped; --format redux-persist reads one that lacks it.`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: a.completeStore,
		RunE: func(cmd *cobra.Command, args []string) error {
			doc, err := a.readDocument(cmd.Context(), args[1])
			if err != nil {
				return err
			}
			if doc, err = plainDocument(doc, format); err != nil {
				return fmt.Errorf("%s: %w", args[1], err)
			}
			return a.with(cmd.Context(), func(c *client) error {
				var out edited
				if err := c.call(cmd.Context(), http.MethodPost, storePath(args[0], "document"), bytes.NewReader(doc), &out); err != nil {
					return err
				}
				return a.print(out, func(w io.Writer) {
					if out.Dot == "" {
						fmt.Fprintln(w, "nothing new")
					} else {
						fmt.Fprintf(w, "imported as %s\n", shortDot(out.Dot))
					}
				})
			})
		},
	}
	cmd.Flags().StringVar(&format, "format", formatAuto, "auto, json or redux-persist")
	cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(
		[]string{formatAuto, formatJSON, formatRedux}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// readDocument reads a file, or standard input, that is no larger than a request may be.
func (a *app) readDocument(ctx context.Context, path string) ([]byte, error) {
	in := a.in
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	var doc []byte
	read := make(chan error, 1)
	go func() { // a terminal or a pipe may never end
		var err error
		doc, err = io.ReadAll(io.LimitReader(in, maxRequestBytes+1))
		read <- err
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case err := <-read:
		if err != nil {
			return nil, err
		}
	}
	if len(doc) > maxRequestBytes {
		return nil, fmt.Errorf("%s is larger than %s", path, byteSize(maxRequestBytes))
	}
	return doc, nil
}

// plainDocument returns the JSON object in doc, its redux-persist wrapping taken off.
func plainDocument(doc []byte, format string) ([]byte, error) {
	if format != formatAuto && format != formatJSON && format != formatRedux {
		return nil, usagef("--format %s: one of auto, json, redux-persist", format)
	}
	// What localStorage holds of a dump is one string of JSON.
	var text string
	if format != formatJSON && json.Unmarshal(doc, &text) == nil && strings.HasPrefix(text, "{") {
		doc = []byte(text)
	}
	var top map[string]json.RawMessage
	if err := json.Unmarshal(doc, &top); err != nil || top == nil {
		if err == nil || json.Valid(doc) {
			return nil, fmt.Errorf("its top level must be an object, whose keys are the slices")
		}
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	persist, ok := top["_persist"]
	if format == formatJSON || format == formatAuto && !ok {
		return doc, nil
	}
	delete(top, "_persist")
	if ok && !bytes.HasPrefix(persist, []byte(`"`)) {
		return json.Marshal(top) // a state as it is in memory, not serialised key by key
	}
	for key, v := range top {
		var inner string
		if json.Unmarshal(v, &inner) != nil {
			continue
		}
		if !json.Valid([]byte(inner)) {
			return nil, fmt.Errorf("%s: in a redux-persist dump a top-level string holds JSON, but this does not (--format json takes it as it is)", key)
		}
		top[key] = json.RawMessage(inner)
	}
	return json.Marshal(top)
}

func (c *control) importDocument(r *http.Request) (any, error) {
	s, err := c.store(r)
	if err != nil {
		return nil, err
	}
	doc, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, badRequest("document: %v", err)
	}
	dot, err := s.Update(r.Context(), func(tx *crdt.Tx) error {
		tx.Import(doc)
		return tx.Err()
	})
	if err != nil {
		return nil, err
	}
	out := edited{Store: s.Name()}
	if !dot.IsZero() {
		out.Dot = dot.Text()
	}
	return out, nil
}
