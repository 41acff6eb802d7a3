package peer_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"
	"time"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/peer"
	"github.com/atollsync/atoll/storage"
)

// A device writes while it is offline, and another one gets it when they meet.
func ExampleNode() {
	dir, err := os.MkdirTemp("", "atoll")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	db, err := storage.Open(dir + "/data") // badger; mints this device's key once
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	node, err := peer.Open(peer.Config{Storage: db, NoMDNS: true, Logger: quiet, Listen: loopback}) // an offline device already: no goroutine, no network
	if err != nil {
		log.Fatal(err)
	}
	defer node.Close()

	list, err := node.Create(ctx, "groceries") // later node.Store("groceries"); elsewhere node.Join(ctx, ticket)
	if err != nil {
		log.Fatal(err)
	}
	dot, err := list.Update(ctx, func(tx *crdt.Tx) error { // atomic, durable on return, works offline
		tx.Map("items").Map("milk").Put("qty", 2) // a bad argument sticks, and Update returns it
		tx.Counter("visits").Add(1)
		tx.Text("notes").Insert(0, "call mum")
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	var seen crdt.Version
	list.View(func(s *crdt.State) error {
		seen = s.Version()
		fmt.Println(s.Map("items").JSON())
		return nil
	})

	go node.Run(ctx) // the network, until ctx ends
	defer oatmeal(ctx, dir, node, list)()

	for event, err := range list.Watch(ctx, seen) { // local and remote, causal order, each change once
		if err != nil {
			log.Fatal(err)
		}
		for _, edit := range event.Edits {
			fmt.Println(edit.Path, "became", edit.New)
		}
		break
	}
	if err := list.Delivered(ctx, dot, peer.Reach{Devices: 1}); err != nil {
		log.Fatal(err)
	}
	fmt.Println("delivered")

	// Output:
	// {"milk":{"qty":2}}
	// [items oatmeal] became {"qty":1}
	// delivered
}

var (
	quiet    = slog.New(slog.DiscardHandler)
	loopback = []string{"/ip4/127.0.0.1/tcp/0"}
)

// oatmeal is what another device does. It returns how to turn it off.
func oatmeal(ctx context.Context, dir string, host *peer.Node, list *peer.Store) (stop func()) {
	if err := host.Up(ctx); err != nil { // the ticket says where it listens
		log.Fatal(err)
	}
	db, err := storage.Open(dir + "/other")
	if err != nil {
		log.Fatal(err)
	}
	node, err := peer.Open(peer.Config{Storage: db, NoMDNS: true, Logger: quiet, Listen: loopback})
	if err != nil {
		log.Fatal(err)
	}
	go node.Run(ctx)
	joined, err := node.Join(ctx, list.Ticket())
	if err != nil {
		log.Fatal(err)
	}
	if _, err := joined.Update(ctx, func(tx *crdt.Tx) error {
		tx.Map("items").Map("oatmeal").Put("qty", 1)
		return nil
	}); err != nil {
		log.Fatal(err)
	}
	return func() {
		node.Close()
		db.Close()
	}
}
