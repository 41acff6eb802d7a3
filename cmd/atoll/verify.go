package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/spf13/cobra"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/storage"
)

// verified is a line of what verify has to say: progress, or the outcome for a store.
type verified struct {
	Store   string `json:"store"`
	Changes int    `json:"changes"` // checked so far
	Done    bool   `json:"done"`    // the store's last line
	OK      bool   `json:"ok"`
	Ops     int64  `json:"ops,omitempty"`
	Void    int    `json:"void,omitempty"`
	Digest  string `json:"digest,omitempty"` // of the state recomputed from the log
	Problem string `json:"problem,omitempty"`
}

func newVerifyCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "verify",
		Short: "Check every hash, signature and checksum on disk, and recompute the state from the log",
		Long: `Read everything in --dir from disk, check every checksum, hash and signature, and recompute
each store's state from its log. If the node runs, what it shows is compared with that. The
exit status is 1 if anything is wrong.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := a.dataDir()
			if err != nil {
				return err
			}
			if _, err := os.Stat(dir); err != nil {
				return err // opening it would make it, and find nothing wrong
			}
			c, err := dialVerify(cmd.Context(), dir)
			if err != nil {
				return err
			}
			stores, failed := 0, false
			p := a.newProgress("verify", 0)
			err = lines(cmd.Context(), c, http.MethodPost, "/v1/verify", nil, func(v verified) error {
				if !v.Done {
					p.label = "verify " + v.Store
					p.set(int64(v.Changes))
					return nil
				}
				p.clear()
				if v.Store != "" {
					stores++
				}
				failed = failed || !v.OK
				return a.print(v, func(w io.Writer) { v.write(w) })
			})
			p.clear()
			if err = errors.Join(err, c.close()); err != nil {
				return err
			}
			if failed {
				return errReported
			}
			if stores == 0 && !a.json {
				fmt.Fprintln(a.out, "no stores: nothing to check")
			}
			return nil
		},
	}
}

func (v verified) write(w io.Writer) {
	s := newStyle(w)
	name := v.Store
	if name == "" {
		name = "the device's own records"
	}
	if !v.OK {
		fmt.Fprintf(w, "%s  %s: %s\n", s.red("DAMAGED"), name, v.Problem)
		return
	}
	if v.Store == "" {
		return
	}
	fmt.Fprintf(w, "%s  %s: %s, %s, state %s\n", s.green("ok"), name, plural(v.Changes, "change"), plural(v.Ops, "op"), v.Digest)
	if v.Void > 0 {
		fmt.Fprintf(w, "    %s void: malformed or out of range as written, kept and without effect\n", plural(v.Void, "op"))
	}
}

// dialVerify returns a client that can verify. Where no node runs it opens the directory without
// one: a node would refuse a damaged log before all of it was checked.
func dialVerify(ctx context.Context, dir string) (*client, error) {
	if c := dialNode(ctx, dir); c != nil {
		return c, nil
	}
	db, err := openWhenFree(ctx, dir)
	if err != nil {
		return nil, err
	}
	return newInProcess(newControl(nil, db, nil), db.Close), nil
}

func (c *control) verify(r *http.Request, line func(any) error) error {
	own := verified{Done: true, OK: true}
	if _, err := c.db.Verify(); err != nil {
		own.OK, own.Problem = false, err.Error()
	}
	if err := line(own); err != nil {
		return err
	}
	stores, err := c.db.Stores()
	if err != nil {
		return err
	}
	for _, info := range stores {
		v, err := c.verifyStore(r.Context(), info, line)
		if err != nil {
			return err
		}
		if err := line(v); err != nil {
			return err
		}
	}
	return nil
}

// verifyStore checks one store's log. What is wrong with it is part of the outcome.
func (c *control) verifyStore(ctx context.Context, info storage.StoreInfo, line func(any) error) (verified, error) {
	const every = 1000 // changes between two lines of progress
	v := verified{Store: info.Name, Done: true}
	log, err := c.db.Log(info.ID)
	if err != nil {
		v.Problem = err.Error()
		return v, nil
	}
	chains := crdt.NewChains(info.ID)
	state := crdt.NewState(chains)
	var stopped error // not a finding: the reader is gone
	_, err = log.Verify(chains, crdt.VerifyEd25519, func(a crdt.Accepted) error {
		state.ApplyQuietly(a)
		v.Changes++
		if v.Changes%every != 0 {
			return nil
		}
		if stopped = ctx.Err(); stopped == nil {
			stopped = line(verified{Store: info.Name, Changes: v.Changes, OK: true})
		}
		return stopped
	})
	if stopped != nil {
		return v, stopped
	}
	if err != nil {
		v.Problem = err.Error()
		return v, nil
	}
	v.Ops = int64(chains.Graph().Len())
	v.Void = state.Stats().Void
	digest := state.Digest()
	v.Digest = hex.EncodeToString(digest[:])
	v.OK = true
	if c.node == nil {
		return v, nil
	}
	s, err := c.node.Store(info.Name)
	if err != nil {
		v.OK, v.Problem = false, err.Error()
		return v, nil
	}
	err = s.View(func(st *crdt.State) error {
		if st.Version().Equal(state.Version()) && st.Digest() != state.Digest() {
			v.OK = false
			v.Problem = "the running node shows another state than the log gives: restart it, and report this as a bug"
		}
		return nil
	})
	if err != nil {
		v.OK, v.Problem = false, err.Error()
	}
	return v, nil
}
