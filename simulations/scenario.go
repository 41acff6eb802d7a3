package simulations

import "time"

// Scenario is what to simulate: devices, the network between them, what happens when, what is written, and what is expected of it. The
// zero value of each field means its default. A Scenario is read-only while a simulation of it runs.
type Scenario struct {
	// Name is a short name, that of the file without its extension.
	Name string
	// Question is what the scenario answers, a sentence or two for people.
	Question string
	// Seed is what everything random is drawn from.
	Seed uint64
	// For is how long the timeline and the workloads go on. Then everything heals: who is offline comes online, who is down
	// starts, cuts and faults of the network end, and the run goes on until all have converged or Expect.Within has passed.
	// Default: 10 minutes.
	For time.Duration
	// Start is the time of day and the weekday that the run starts at, which schedules and the devices' clocks go by, as unix milliseconds. Default:
	// Monday 5 January 2026, 00:00 UTC.
	Start int64
	// Devices are the groups of alike devices, at least one device in all. Device numbers count through the groups.
	Devices []Group
	// Network is how devices are connected and what links do to messages.
	Network Network
	// Timeline is what happens when. Events at the same time happen in this order.
	Timeline []Event
	// Workloads write.
	Workloads []Workload
	// Expect is what must hold at the end beyond what is always checked.
	Expect Expect
	// Signatures says how devices sign.
	Signatures Signatures
	// Every is the time between two samples of the figures in Result.Samples. Default: For/200, at least 100 ms.
	Every time.Duration
}

// Signatures says how the devices of a simulation sign.
type Signatures string

const (
	// Ed25519 is what real devices do. It costs 30 us a signature and 75 us a check.
	Ed25519 Signatures = "ed25519"
	// StandIn is a keyed hash that only this process can make: as good a signature against everything a simulation does, forging
	// liars included, and a hundred times cheaper. The default for more than 20 devices.
	StandIn Signatures = "stand-in"
)

// Group is alike devices.
type Group struct {
	// Name names the device, or if Count is over 1 the first part of names: phone-1, phone-2.
	Name  string
	Count int // default 1
	// Online is when the devices have a network.
	Online Schedule
	// Clock is what their clocks show.
	Clock Clock
	// Disk is how their disks behave.
	Disk Disk
	// Joins is when the devices start for the first time, spread evenly over [From, To). The zero value: at the start.
	Joins Window
	// Leaves is when they are switched off for good, spread likewise. The zero value: never. What they never sent is lost with them,
	// and is the only thing that may be.
	Leaves Window
	// Slow is how much time a device takes for each change that it takes in: a slow phone. Default 0.
	Slow time.Duration
	// Lies are what the devices do that no honest one does.
	Lies []Lie
	// Link overrides what the links of these devices do, where it is not zero.
	Link Link
	// Meeting marks the devices in the middle of a star, or the ferry between islands. Default: the first device.
	Meeting bool
}

// Window is a span [From, To) of the run.
type Window struct{ From, To time.Duration }

// Clock is how wrong a device's clock is.
type Clock struct {
	// Skew is how far it is ahead (or, negative, behind) at the start.
	Skew time.Duration
	// Drift is how many microseconds it gains in a second.
	Drift int
}

// Disk is how a virtual disk behaves.
type Disk struct {
	// Fsync is how long a sync takes. Default 2 ms. A crash while it runs loses what it was to make durable, or some of it.
	Fsync time.Duration
	// Capacity is how many bytes of blocks fit. Default: without bound.
	Capacity int
}

// Schedule is when a device has a network. Spans of a preset differ from device to device by up to an hour, drawn from the seed.
type Schedule struct {
	// Preset is one of Presets; empty means always.
	Preset string
	// Offline are spans of the run without network, beyond the preset's.
	Offline []Window
}

// Presets are the names of schedules, with what they mean.
var Presets = []struct{ Name, Meaning string }{
	{"always", "always online"},
	{"commuter", "offline on the train, 07:30-08:15 and 17:45-18:30 on workdays, and at night, 23:00-06:30"},
	{"office", "online 09:00-17:00 on workdays"},
	{"weekend", "offline from Friday 18:00 to Monday 08:00"},
	{"evenings", "online 19:00-22:00"},
	{"three-weeks", "offline from the second hour on for three weeks"},
	{"flaky", "online for 1 to 10 minutes, then offline for 1 to 10 minutes, and so on"},
	{"never", "offline until everything heals"},
}

// Topology says who is connected to whom.
type Topology string

const (
	Full    Topology = "full"    // everyone to everyone; the default up to 20 devices
	Ring    Topology = "ring"    // everyone to the next
	Star    Topology = "star"    // everyone to the meeting point
	Random  Topology = "random"  // a connected random graph; the default beyond 20 devices
	Islands Topology = "islands" // two halves, each a random graph; only the ferry is ever on both, by turns
)

// Network is how devices are connected, and what happens to what they send.
type Network struct {
	Topology Topology
	// Degree is how many links a device has on average in a random graph. Default 6.
	Degree int
	// Ferry is how long a ferry stays at each of two islands. Default 1 hour.
	Ferry time.Duration
	// Link is what every link does.
	Link Link
	// Links are exceptions, for the links between a device of A and one of B (names of devices or groups). The last that fits counts.
	Links []LinkBetween
	// Noticed is how long devices take to see that a link is dead. Default 30 s. A shorter cut loses messages and nobody is told.
	Noticed time.Duration
	// Redial is how long devices wait before they try again to connect. Default 1 s, doubling up to 32 s; a device that has a network again or just started does not wait.
	Redial time.Duration
	// GossipAbove is above how many others, connected or known to share the store, a device gossips its changes instead of pushing them. Default 8, as in a node. Negative: always.
	GossipAbove int
}

// Link is what one link does to messages. Zero fields mean no such thing, but for Latency.
type Link struct {
	// Latency is how long a message takes at least; Jitter how much longer it may take, evenly. Default latency: 20 ms.
	Latency, Jitter time.Duration
	// Preset is one of LinkPresets and sets all fields that are zero.
	Preset string
	// Loss, Duplicate and Reorder are in percent of messages. A stream does not lose single messages: loss there shows as delay
	// (a retransmission each) on streams, and as loss in gossip.
	// A message duplicated on a stream stands for one sent again over a new one.
	Loss, Duplicate, Reorder float64
	// Bandwidth is in bytes a second, each way. 0: without bound.
	Bandwidth int
}

// LinkBetween is a Link between two sets of devices.
type LinkBetween struct {
	A, B string
	Link
}

// Event is something that happens at a time, and perhaps again and again.
type Event struct {
	At time.Duration
	// Every makes it happen again after each such time until Until (default: Scenario.For).
	Every, Until time.Duration
	Action       Action
	// Line is where the event stands in its file, 0 if nowhere.
	Line int
}

// Action is one of the types below. Devices are named by device or group; "all" is all of them.
type Action interface{ action() }

type (
	// Partition cuts all links between devices of different sides. Devices on no side are a side of their own. It replaces the partition before.
	Partition struct{ Sides [][]string }
	// Cut cuts what From sends To. OneWay leaves the other direction alone.
	Cut struct {
		From, To []string
		OneWay   bool
	}
	// Flap cuts and restores the links between From and To: down for Down, then up for Up, until For has passed.
	Flap struct {
		From, To      []string
		Down, Up, For time.Duration
	}
	// Heal ends partitions and cuts.
	Heal struct{}
	// Offline takes devices off the network for For, or if that is 0 until Online.
	Offline struct {
		Devices []string
		For     time.Duration
	}
	// Online ends Offline.
	Online struct{ Devices []string }
	// Crash stops devices at once: what was not synced is lost. Torn leaves half of the last write, which a device notices
	// when it starts. During waits for a moment to strike: "" at once, "write" while a local change is being written,
	// "merge" while changes of others are, "rewrite" while what a device had told nobody is written anew. The device starts again after Down (default 10 s).
	Crash struct {
		Devices []string
		Torn    bool
		During  string
		Down    time.Duration
	}
	// Backup copies the disk of a device aside.
	Backup struct{ Device string }
	// Restore replaces the disk by the last Backup, and starts the device again.
	Restore struct{ Device string }
	// Clone starts a second device from a copy of a device's disk, named As.
	Clone struct{ Device, As string }
	// SetClock makes clocks jump by By.
	SetClock struct {
		Devices []string
		By      time.Duration
	}
	// FillDisk leaves no room on disks for For.
	FillDisk struct {
		Devices []string
		For     time.Duration
	}
	// Do makes one op on a device; see ParseOp. One that the device cannot make now (it is down, nothing is there) is counted and skipped.
	Do struct {
		Device string
		Op     Op
	}
	// Tell makes a liar lie once.
	Tell struct {
		Device string
		Lie    LieKind
	}
	// SetLink replaces Network.Link for all links from now on.
	SetLink struct{ Link Link }
)

func (Partition) action() {}
func (Cut) action()       {}
func (Flap) action()      {}
func (Heal) action()      {}
func (Offline) action()   {}
func (Online) action()    {}
func (Crash) action()     {}
func (Backup) action()    {}
func (Restore) action()   {}
func (Clone) action()     {}
func (SetClock) action()  {}
func (FillDisk) action()  {}
func (Do) action()        {}
func (Tell) action()      {}
func (SetLink) action()   {}

// LieKind is a way to misbehave.
type LieKind string

const (
	Forge    LieKind = "forge"    // changes in another's name, with a signature that cannot be right
	Fork     LieKind = "fork"     // two changes on one seq, told to different peers
	Withhold LieKind = "withhold" // changes that build on some that are kept back
	Garbage  LieKind = "garbage"  // bytes that are no message, or a message that is no good
	Flood    LieKind = "flood"    // more messages than anyone wants
	Replay   LieKind = "replay"   // what was sent before, again and again
)

// Lie is misbehaviour again and again.
type Lie struct {
	Kind  LieKind
	Every time.Duration // default 1 minute
}

// Workload writes on devices.
type Workload struct {
	// Devices write, by name of device or group. Default: all.
	Devices []string
	// From and To bound the time in which it writes. Default: the whole run.
	From, To time.Duration
	// Ops is how many ops there are in all, spread at random over the time; Rate is the same as ops an hour for each device. One of them is given
	// unless Session or Log says how many there are.
	Ops  int
	Rate float64
	// Slices are the slices written to and their kinds, by name. Default: one of every kind.
	Slices []SliceKind
	// Weights are how often each kind of op comes, by verb (put, delete, insert, ...; see ParseOp), for slices whose kind has it. Those not
	// named do not come. Default: about as people work, who write more than they delete.
	Weights map[string]int
	// Session is the path of a recorded editing session whose edits are split over the devices, into slice Text (default: notes); its
	// transactions come evenly over the time. With Ops only so many of its first ones come.
	Session string
	Text    string
	// Log is the path of a recorded log of a real store, replayed with other timings: an archive (see storage.WriteArchive) or a data
	// directory, such as atoll backup writes, with the name of a Store if it has several. Each author is one of the devices in turn. With
	// Ops only so many of its first changes are.
	Log   string
	Store string
	// Func writes, for a user's own test: it is called for each op instead of a random one. rng is the device's own.
	Func func(d *Device, rng Rand) error
	// Line is where the workload stands in its file.
	Line int
}

// Rand is where a workload draws from. *rand.Rand of math/rand/v2 is one.
type Rand interface {
	IntN(n int) int
	Float64() float64
	Uint64() uint64
}

// SliceKind names a slice and its kind.
type SliceKind struct{ Name, Kind string }

// Expect is what must hold at the end.
type Expect struct {
	// Within is how long honest devices may take to converge after everything healed. Default 2 minutes.
	Within time.Duration
	// Forks is how many forked actors honest devices must know of in the end. Negative: any number. Default 0 without liars and clones, else any.
	Forks int
	// Shows are values that every honest device must show at paths, as JSON.
	Shows []Shows
	// Lost is how many acknowledged changes may be lost: those that devices which left for good, or whose disk was replaced by a backup, had never sent.
	// Negative: any number. Default: 0 unless devices leave or are restored.
	Lost int
	// Faults are names of faults (see Result.Faults) that must have been seen, beyond those the scenario asks for.
	Faults []string
}

// Shows is a value at a path.
type Shows struct {
	Path string
	JSON string
	Line int
}
