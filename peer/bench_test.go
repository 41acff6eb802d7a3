package peer

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/storage"
)

// benchDevice opens a device on badger that logs nothing.
func benchDevice(b *testing.B, name string) *device {
	b.Helper()
	db, err := storage.Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	return openDevice(b, name, db, func(c *Config) { c.Logger = slog.New(slog.DiscardHandler) })
}

// payload returns n bytes that do not compress.
func payload(r *rand.Rand, n int) crdt.Value {
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(r.Uint32())
	}
	return crdt.BytesValue(out)
}

// One durable update of 100 bytes at a time, and by 64 callers who share their writes.
func BenchmarkUpdate(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			list := benchDevice(b, "a").create("list")
			value := payload(rand.New(rand.NewPCG(1, 2)), 100)
			appends := list.appends.Load()
			var left atomic.Int64
			left.Store(int64(b.N))
			b.ResetTimer()
			var wg sync.WaitGroup
			for range callers {
				wg.Go(func() {
					for left.Add(-1) >= 0 {
						_, err := list.Update(context.Background(), func(tx *crdt.Tx) error {
							tx.Map("m").Put("k", value)
							return nil
						})
						if err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(list.appends.Load()-appends)/float64(b.N), "fsyncs/op")
		})
	}
}

// A device that was offline catches up with changes of 110 bytes, over TCP on loopback, with badger on both
// sides: until all are durable there. One operation is one change.
func BenchmarkCatchUp(b *testing.B) {
	const size = 110
	writer, reader := benchDevice(b, "writer"), benchDevice(b, "reader")
	list := writer.create("list")
	writer.run()
	reader.join(list.Ticket())
	reader.run()
	eventually(b, "the two meet", func() bool { return len(writer.Peers()) > 0 && len(reader.Peers()) > 0 })
	reader.SetOffline(true)
	r := rand.New(rand.NewPCG(1, 2))
	for done := 0; done < b.N; {
		err := list.UpdateMany(context.Background(), func(author AuthorOps) error {
			for end := min(b.N, done+1000); done < end; done++ {
				var seen crdt.Version
				if done > 0 {
					seen = crdt.Version{{Actor: crdt.Actor{Device: writer.device}, Seq: crdt.Seq(done)}}
				}
				path := crdt.Path{{Key: "m", Kind: crdt.Map}, {Key: fmt.Sprint(done % 1000), Kind: crdt.Register}}
				if _, err := author([8]byte{}, seen, []crdt.Op{{Code: crdt.CodePut, Len: 1, Path: path, Value: payload(r, size)}}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	last := version(b, list)[0]
	before := writer.Status()
	b.ResetTimer()
	reader.SetOffline(false)
	if err := list.Delivered(ctxFor(b), last, Reach{Devices: 1}); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	after := writer.Status()
	b.SetBytes(size)
	b.ReportMetric(float64(after.BytesOut-before.BytesOut)/float64(b.N*size), "sent/payload")
}
