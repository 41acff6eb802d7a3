package peer_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/peer"
	"github.com/atollsync/atoll/storage"
)

// A device writes while it is offline, and another one gets it when they meet. What stands
// between the two marks is the first code in README.md; a test keeps them the same.
func ExampleNode() {
	dir, err := os.MkdirTemp("", "atoll")
	check(err)
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	loopback := []string{"/ip4/127.0.0.1/tcp/0"}
	invite := func(t peer.Ticket) { go oatmeal(ctx, dir, loopback, t) }

	// README
	db, err := storage.Open(dir + "/data") // badger; mints this device's key once
	check(err)
	defer db.Close()
	node, err := peer.Open(peer.Config{Storage: db, Listen: loopback, NoMDNS: true})
	check(err) // an offline device already: no goroutine, no network
	defer node.Close()

	list, err := node.Create(ctx, "groceries") // later node.Store("groceries"); elsewhere node.Join(ctx, ticket)
	check(err)
	dot, err := list.Update(ctx, func(tx *crdt.Tx) error { // atomic, durable on return, works offline
		tx.Map("items").Map("milk").Put("qty", 2) // a bad argument sticks, and Update returns it
		tx.Counter("visits").Add(1)
		tx.Text("notes").Insert(0, "call mum")
		return nil
	})
	check(err)
	var seen crdt.Version
	err = list.View(func(s *crdt.State) error { // what is shown is durable
		seen = s.Version()
		fmt.Println(s.Map("items").JSON())
		return nil
	})
	check(err)

	go node.Run(ctx)                                // the network, until ctx ends
	check(node.Up(ctx))                             // the ticket says where to find this device
	invite(list.Ticket())                           // another device: Join, put items/oatmeal/qty 1
	for event, err := range list.Watch(ctx, seen) { // local and remote, causal order, each change once
		check(err)
		fmt.Println(event.Edits[0].Path, "became", event.Edits[0].New)
		break
	}
	check(list.Delivered(ctx, dot, peer.Reach{Devices: 1}))
	fmt.Println("delivered")
	// README

	// Output:
	// {"milk":{"qty":2}}
	// [items oatmeal] became {"qty":1}
	// delivered
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// oatmeal is what the other device does, until ctx ends.
func oatmeal(ctx context.Context, dir string, listen []string, ticket peer.Ticket) {
	db, err := storage.Open(dir + "/other")
	check(err)
	defer db.Close()
	node, err := peer.Open(peer.Config{Storage: db, Listen: listen, NoMDNS: true})
	check(err)
	defer node.Close()
	list, err := node.Join(ctx, ticket)
	check(err)
	_, err = list.Update(ctx, func(tx *crdt.Tx) error {
		tx.Map("items").Map("oatmeal").Put("qty", 1)
		return nil
	})
	check(err)
	node.Run(ctx)
}
