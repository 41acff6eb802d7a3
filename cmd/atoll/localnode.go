package main

import (
	"context"
	"errors"
	"time"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/peer"
	"github.com/atollsync/atoll/storage"
)

// localNode is a real node on loopback, with a badger directory of its own: what the demo and
// replay --over-network are made of.
type localNode struct {
	name  string
	db    *storage.DB
	node  *peer.Node
	store *peer.Store
	stop  context.CancelFunc
	ended chan error
}

// startLocalNode opens a device in dir, runs its node and waits until it listens. The node runs until close, even if ctx ends.
func startLocalNode(ctx context.Context, name, dir string) (*localNode, error) {
	db, err := storage.Open(dir)
	if err != nil {
		return nil, err
	}
	node, err := peer.Open(peer.Config{
		Storage: db,
		Listen:  []string{"/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0"},
		NoMDNS:  true,
		Logger:  quietLogger(),
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	n := &localNode{name: name, db: db, node: node, ended: make(chan error, 1)}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	n.stop = stop
	up, giveUp := context.WithCancelCause(ctx)
	go func() {
		err := node.Run(running)
		giveUp(err)
		n.ended <- err
	}()
	if err := node.Up(up); err != nil {
		return nil, errors.Join(err, n.close())
	}
	return n, nil
}

// close ends the device.
func (n *localNode) close() error {
	n.stop()
	return errors.Join(<-n.ended, n.node.Close(), n.db.Close())
}

// version returns the version of the store the device shows.
func (n *localNode) version() (v crdt.Version) {
	if n.store.View(func(s *crdt.State) error { v = s.Version(); return nil }) != nil {
		return nil
	}
	return v
}

// connected returns how many peers the device is connected to.
func (n *localNode) connected() int {
	return len(n.node.Peers())
}

// poll waits until done, or until ctx ends.
func poll(ctx context.Context, done func() bool) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
	return nil
}
