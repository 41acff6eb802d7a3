package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/peer"
)

// catchUpPatience bounds how long the second node may take to catch up.
const catchUpPatience = 2 * time.Minute

// authors is how many transactions of a sequential session are under way at a time. They share
// fsyncs, and are carried out strictly in order.
const authors = 64

// replayOverNetwork authors s on one real node while a second, which shares the store, is offline;
// lets the second come back; and returns the text it shows then.
func (a *app) replayOverNetwork(ctx context.Context, s *session, r *replayed, p *progress) (text string, err error) {
	tmp, err := os.MkdirTemp("", "atoll-replay-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	var nodes [2]*localNode
	for i, name := range [...]string{"first", "second"} {
		n, err := startLocalNode(ctx, name, filepath.Join(tmp, name))
		if err != nil {
			return "", err
		}
		defer func() { err = errors.Join(err, n.close()) }()
		nodes[i] = n
	}
	first, second := nodes[0], nodes[1]
	if first.store, err = first.node.Create(ctx, "session"); err != nil {
		return "", err
	}
	if second.store, err = second.node.Join(ctx, first.store.Ticket()); err != nil {
		return "", err
	}
	if err := poll(ctx, func() bool { return first.connected() > 0 && second.connected() > 0 }); err != nil {
		return "", fmt.Errorf("the nodes do not meet: %w", err)
	}
	second.node.SetOffline(true)
	if err := poll(ctx, func() bool { return first.connected() == 0 && second.connected() == 0 }); err != nil {
		return "", fmt.Errorf("the second node does not go offline: %w", err)
	}

	begun := time.Now()
	if s.Concurrent {
		err = first.authorConcurrent(ctx, s, p)
	} else {
		err = first.authorSequential(ctx, s, p)
	}
	if err != nil {
		return "", err
	}
	r.Seconds = time.Since(begun).Seconds()
	p.clear()
	if v := second.version(); len(v) > 0 {
		return "", fmt.Errorf("the second node was offline, and yet holds %s", v)
	}

	want := first.version()
	before := first.node.Status()
	ctx, cancel := context.WithTimeoutCause(ctx, catchUpPatience, fmt.Errorf("after %v the second node has not caught up", catchUpPatience))
	defer cancel()
	begun = time.Now()
	second.node.SetOffline(false)
	if err := poll(ctx, func() bool { return second.version().Equal(want) }); err != nil {
		return "", err
	}
	r.Network = &catchUp{Seconds: time.Since(begun).Seconds()}
	after := first.node.Status()
	r.Network.Sent, r.Network.Received = after.BytesOut-before.BytesOut, after.BytesIn-before.BytesIn
	for _, err := range first.store.Log(ctx) {
		if err != nil {
			return "", err
		}
		r.Changes++
	}
	err = second.store.View(func(st *crdt.State) error {
		text = st.Text(sessionSlice).String()
		return nil
	})
	return text, err
}

// authorSequential writes a sequential session. Transactions run one at a time and in order, whoever
// among the callers the next turn falls to.
func (n *localNode) authorSequential(ctx context.Context, s *session, p *progress) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := 0 // written in Update's functions only, which run one at a time
	var wg sync.WaitGroup
	var mu sync.Mutex
	calls := 0
	for range min(authors, len(s.Txns)) {
		wg.Go(func() {
			for {
				mu.Lock()
				calls++
				mine := calls
				mu.Unlock()
				if mine > len(s.Txns) {
					return
				}
				_, err := n.store.Update(ctx, func(tx *crdt.Tx) error {
					t := s.Txns[next]
					next++
					writePatches(tx, t.Patches)
					return tx.Err()
				})
				if err != nil {
					cancel(fmt.Errorf("author the session: %w", err))
					return
				}
				mu.Lock()
				p.set(int64(mine))
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// authoredAtOnce is how many transactions of a concurrent session become durable with one write.
const authoredAtOnce = 512

// authorConcurrent writes a concurrent session, each transaction at its parents' version by the actor of its agent.
func (n *localNode) authorConcurrent(ctx context.Context, s *session, p *progress) error {
	versions := make([]crdt.Version, len(s.Txns))
	for at := 0; at < len(s.Txns); at += authoredAtOnce {
		end := min(at+authoredAtOnce, len(s.Txns))
		err := n.store.UpdateMany(ctx, func(author peer.AuthorOps) error {
			for i := at; i < end; i++ {
				if err := authorOps(s, i, versions, author); err != nil {
					return fmt.Errorf("author transaction %d: %w", i, err)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		p.set(int64(end))
	}
	return nil
}

// authorOps writes the i-th transaction of s and notes the version it makes.
func authorOps(s *session, i int, versions []crdt.Version, author peer.AuthorOps) error {
	t := s.Txns[i]
	var seen crdt.Version
	for _, parent := range t.Parents {
		seen = append(seen, versions[parent]...)
	}
	slices.SortFunc(seen, crdt.Dot.Compare)
	seen = slices.Compact(seen)
	ops, err := patchOps(t)
	if err != nil {
		return err
	}
	dot, err := author(agentNonce(t.Agent), seen, ops)
	if err != nil {
		return err
	}
	versions[i] = seen
	if !dot.IsZero() {
		versions[i] = crdt.Version{dot}
	}
	return nil
}
