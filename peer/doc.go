// Package peer is the node: it drives the replicas of a device's stores with
// libp2p, the log on disk and the clock, and it is the API an embedder meets.
//
// A Node is an offline device as soon as Open returns: stores can be created,
// joined, read and written without a goroutine or a socket. Run is the network; it
// owns every goroutine of the package, and all of them have exited when it returns.
//
//	db, err := storage.Open("data")
//	node, err := peer.Open(peer.Config{Storage: db})
//	defer node.Close()
//	go node.Run(ctx)
//
//	list, err := node.Create(ctx, "groceries")
//	dot, err := list.Update(ctx, func(tx *crdt.Tx) error { ... })
//
// Where things are: node.go the device and its stores; store.go what one store
// offers; commit.go the one way anything becomes durable, shown and sent; watch.go
// and history.go events and the past; network.go what Run runs, house.go what it does now and
// then; host.go libp2p; session.go and hello.go the stream between two nodes, outqueue.go, frame.go and seal.go its bytes; dial.go,
// discovery.go and exchange.go who to talk to; gossip.go and gossiphost.go the fast path.
//
// Rules that hold everywhere: nothing is shown or sent before it is durable; what a
// peer can make a node keep is bounded; nobody who has not proved that they hold a
// store's secret learns that the store exists.
package peer
