package main

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/peer"
)

// deviceStatus is what `atoll status` prints.
type deviceStatus struct {
	Dir      string        `json:"dir"`
	Device   string        `json:"device"` // public key, in hex
	ID       string        `json:"id"`     // libp2p peer ID
	Running  bool          `json:"running"`
	Addrs    []string      `json:"addrs"`
	Disk     uint64        `json:"disk_bytes"`
	BytesIn  uint64        `json:"bytes_in"`
	BytesOut uint64        `json:"bytes_out"`
	Notices  []string      `json:"notices"` // what opening the directory repaired
	Stores   []storeStatus `json:"stores"`
	Peers    []peerListing `json:"peers"`
	// Offenders are peers that broke the protocol lately.
	Offenders []offenderStatus `json:"offenders"`
}

type offenderStatus struct {
	Device string `json:"device"`
	Points int    `json:"points"`       // 100 are a ban
	Bans   int    `json:"bans"`         // so far
	Until  int64  `json:"banned_until"` // unix milliseconds, 0: it is not banned
	Reason string `json:"reason"`
}

// writeOffenders says who is cut off and why.
func writeOffenders(w io.Writer, list []offenderStatus, s style) {
	for _, o := range list {
		what := fmt.Sprintf("%d of 100 points", o.Points)
		if o.Until > 0 {
			what = "cut off until " + clock(o.Until)
		}
		fmt.Fprintln(w, s.red(fmt.Sprintf("device %s broke the protocol (%s): %s", shortDevice(o.Device), what, o.Reason)))
	}
}

func offenders(list []peer.Offender) []offenderStatus {
	out := []offenderStatus{}
	for _, o := range list {
		one := offenderStatus{Device: fmt.Sprintf("%x", o.Device[:]), Points: o.Points, Bans: o.Bans, Reason: o.Reason}
		if !o.Until.IsZero() {
			one.Until = o.Until.UnixMilli()
		}
		out = append(out, one)
	}
	return out
}

// storeStatus is a store in `atoll status`.
type storeStatus struct {
	storeListing
	Version []string `json:"version"`
	Problem string   `json:"problem,omitempty"` // what keeps it from its peers
	Void    int      `json:"void"`
	Unknown int      `json:"unknown"`         // void ops that a newer program may understand
	Opaque  []string `json:"opaque_slices"`   // slices with such ops
	Pending int      `json:"pending_batches"` // that wait for what they build on
	// Deliveries say, for each device known to share the store, what of this device's changes it is not known to hold.
	Deliveries []delivery   `json:"deliveries"`
	Skewed     []skewStatus `json:"skewed"`
	Forks      []forkStatus `json:"forks"`
	// Diverged are slices that peers with the same changes show otherwise.
	Diverged []divergedStatus `json:"diverged"`
}

type divergedStatus struct {
	Slice  string `json:"slice"`
	Device string `json:"device"` // that shows it otherwise
	Ours   string `json:"ours"`   // digests of the slice
	Theirs string `json:"theirs"`
}

type delivery struct {
	Device    string `json:"device"`
	Connected bool   `json:"connected"`
	Changes   int    `json:"undelivered_changes"`
	Ops       int    `json:"undelivered_ops"`
}

type skewStatus struct {
	Actor  string `json:"actor"`
	Device string `json:"device"` // public key, in hex
	Ahead  int64  `json:"ahead_ms"`
}

// ahead says for people how far a clock is ahead.
func ahead(ms int64) string {
	d := time.Duration(min(ms, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond
	if day := 24 * time.Hour; d >= 2*day {
		return plural(int(d/day), "day")
	}
	return d.Round(time.Second).String()
}

type forkStatus struct {
	Actor  string `json:"actor"`
	Ours   tip    `json:"ours"`
	Theirs tip    `json:"theirs"`
	From   string `json:"from"`   // device that showed it, "" if no longer known
	Proven bool   `json:"proven"` // by the actor's own signatures, not by hearsay
}

// tip is a change as its dot, which both branches of a fork may have used, and its hash, which tells them apart.
type tip struct {
	Dot  string `json:"dot"`
	Hash string `json:"hash"`
}

func newTip(t crdt.Tip) tip { return tip{t.Dot().Text(), fmt.Sprintf("%x", t.Hash[:])} }

// String shortens t for people.
func (t tip) String() string { return shortDot(t.Dot) + "#" + t.Hash[:min(len(t.Hash), 8)] }

func newStatusCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show how this device, its stores and its connections are",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(c *client) error {
				var out deviceStatus
				if err := c.call(cmd.Context(), http.MethodGet, "/v1/status", nil, &out); err != nil {
					return err
				}
				return a.print(out, func(w io.Writer) { out.write(w, newStyle(a.out)) })
			})
		},
	}
}

func (st deviceStatus) write(w io.Writer, s style) {
	node := "not running (atoll start)"
	if st.Running {
		node = s.green("running")
	}
	rows := [][]string{{"device", shortDevice(st.Device)}, {"directory", st.Dir}, {"on disk", byteSize(int64(st.Disk))}, {"node", node}}
	for i, addr := range st.Addrs {
		label := ""
		if i == 0 {
			label = "addresses"
		}
		rows = append(rows, []string{label, addr})
	}
	if st.Running {
		rows = append(rows, []string{"traffic", byteSize(int64(st.BytesIn)) + " in, " + byteSize(int64(st.BytesOut)) + " out"})
	}
	table(w, nil, rows)
	for _, n := range st.Notices {
		fmt.Fprintf(w, "%s %s\n", s.yellow("notice"), n)
	}
	for _, store := range st.Stores {
		fmt.Fprintf(w, "\n%s\n", s.bold(store.Name))
		store.write(w, s)
	}
	if len(st.Peers) > 0 {
		fmt.Fprintln(w)
		table(w, []string{"DEVICE", "STORES", "ADDRESS", "RTT", "SINCE"}, peerRows(st.Peers))
	}
	writeOffenders(w, st.Offenders, s)
}

func (st storeStatus) write(w io.Writer, s style) {
	line := func(format string, args ...any) { fmt.Fprintf(w, "  %s\n", fmt.Sprintf(format, args...)) }
	line("%s, %s, %s; connected to %s of it", plural(len(st.Slices), "slice"), plural(st.Changes, "change"), plural(st.Ops, "op"), plural(st.Peers, "peer"))
	if st.Outbox > 0 {
		line("outbox: %s here that no other device is known to hold", plural(st.Outbox, "op"))
	}
	for _, d := range st.Deliveries {
		where := "away"
		if d.Connected {
			where = "connected"
		}
		if d.Changes == 0 {
			line("device %s (%s) holds all changes of this device", shortDevice(d.Device), where)
		} else {
			line("device %s (%s) is not known to hold %s of this device", shortDevice(d.Device), where, plural(d.Changes, "change"))
		}
	}
	if st.Pending > 0 {
		line("batches of changes waiting for what they build on: %d", st.Pending)
	}
	if st.Void > 0 {
		line("%s void: kept, without effect (%d of kinds this version does not know)", plural(st.Void, "op"), st.Unknown)
	}
	if len(st.Opaque) > 0 {
		line("%s", s.yellow("of a newer version, neither shown nor writable here: "+strings.Join(st.Opaque, ", ")))
	}
	for _, k := range st.Skewed {
		line("%s", s.yellow(fmt.Sprintf("the clock of device %s is %s ahead of this one: its changes win over concurrent ones (or this device's clock is behind)", shortDevice(k.Device), ahead(k.Ahead))))
	}
	for _, f := range st.Forks {
		how := "as claimed by"
		if f.Proven {
			how = "proven by its own signatures, shown by"
		}
		from := shortDevice(f.From)
		if from == "" {
			from = "a device no longer known"
		}
		line("%s", s.red(fmt.Sprintf("FORK: %s wrote %s and %s, %s %s: a copied data directory, or malice",
			shortActor(f.Actor), f.Ours, f.Theirs, how, from)))
	}
	for _, d := range st.Diverged {
		line("%s", s.red(fmt.Sprintf("BUG: slice %s is another at device %s, which holds the same changes: one of the two programs is wrong; please report it",
			d.Slice, shortDevice(d.Device))))
	}
	if st.Problem != "" {
		line("%s", s.yellow(st.Problem))
	}
	if st.Error != "" {
		line("%s", s.red(st.Error))
	}
}

func (c *control) status(*http.Request) (any, error) {
	st := c.node.Status()
	out := deviceStatus{Dir: c.db.Dir(), Device: fmt.Sprintf("%x", st.Device[:]), ID: st.PeerID, Running: c.running && st.Running, Addrs: []string{},
		Disk: st.DiskBytes, BytesIn: st.BytesIn, BytesOut: st.BytesOut, Notices: []string{}, Stores: []storeStatus{}, Peers: peerListings(st.Peers), Offenders: offenders(st.Offenders)}
	out.Addrs = append(out.Addrs, st.Addrs...)
	out.Notices = append(out.Notices, st.Notices...)
	for _, s := range st.Stores {
		one, err := c.storeStatus(s)
		if err != nil {
			one.Error = err.Error()
		}
		out.Stores = append(out.Stores, one)
	}
	return out, nil
}

func (c *control) storeStatus(s peer.StoreStatus) (storeStatus, error) {
	out := storeStatus{storeListing: newStoreListing(s), Version: dots(s.Version), Problem: s.Problem, Void: s.Void, Unknown: s.Unknown,
		Opaque: []string{}, Pending: s.PendingBatches, Deliveries: []delivery{}, Skewed: []skewStatus{}, Forks: []forkStatus{}, Diverged: []divergedStatus{}}
	for _, slice := range s.Slices {
		if slice.Opaque {
			out.Opaque = append(out.Opaque, slice.Name)
		}
	}
	for _, k := range s.Skewed {
		out.Skewed = append(out.Skewed, skewStatus{k.Actor.Text(), fmt.Sprintf("%x", k.Actor.Device[:]), k.Ahead})
	}
	for _, f := range s.Forks {
		one := forkStatus{Actor: f.Actor.Text(), Ours: newTip(f.Ours), Theirs: newTip(f.Theirs), Proven: f.By == f.Actor}
		if f.From != (crdt.Device{}) {
			one.From = fmt.Sprintf("%x", f.From[:])
		}
		out.Forks = append(out.Forks, one)
	}
	for _, d := range s.Diverged {
		out.Diverged = append(out.Diverged, divergedStatus{d.Slice, fmt.Sprintf("%x", d.Peer[:]), fmt.Sprintf("%x", d.Ours[:]), fmt.Sprintf("%x", d.Theirs[:])})
	}
	if s.Err != nil || len(s.Version) == 0 {
		return out, nil
	}
	store, err := c.node.Store(s.Name)
	if err != nil {
		return out, err
	}
	level, err := store.Delivery(s.Version[0]) // any change: it names every device that is known
	if err != nil {
		return out, err
	}
	devices := slices.Concat(level.Holders, level.Missing)
	slices.SortFunc(devices, crdt.Device.Compare)
	for _, d := range devices {
		items, err := store.Outbox(peer.OutboxQuery{Device: d})
		if err != nil {
			return out, err
		}
		one := delivery{Device: fmt.Sprintf("%x", d[:]), Changes: len(items)}
		for _, it := range items {
			one.Ops += it.Ops
		}
		for _, p := range s.Status.Peers {
			one.Connected = one.Connected || p.Device == d && p.Connected
		}
		out.Deliveries = append(out.Deliveries, one)
	}
	return out, nil
}
