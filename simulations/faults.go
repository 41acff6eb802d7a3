package simulations

// fault is something that goes wrong in a simulation.
type fault int

const (
	faultPartition fault = iota
	faultCut
	faultFlap
	faultOffline
	faultLateJoin
	faultLeave
	faultCrash
	faultLostWrite
	faultTorn
	faultDuringWrite
	faultDuringMerge
	faultDuringRewrite
	faultDiskFull
	faultBackup
	faultRestore
	faultClone
	faultClockJump
	faultSkew
	faultSlow
	faultLoss
	faultDuplicate
	faultReorder
	faultJitter
	faultBandwidth
	faultFerry
	faultGap
	faultSilent
	faultReconnect
	faultForge
	faultFork
	faultWithhold
	faultGarbage
	faultFlood
	faultReplay
	faultRefused
	faultBlamed
	faultRenewed
	faultRewritten
	faults
)

var faultNames = [faults]string{
	faultPartition: "partition", faultCut: "cut", faultFlap: "flapping link", faultOffline: "device offline", faultLateJoin: "late join",
	faultLeave: "device left", faultCrash: "crash", faultLostWrite: "unsynced write lost", faultTorn: "torn write", faultDuringWrite: "crash during a write",
	faultDuringMerge: "crash during a merge", faultDuringRewrite: "crash during a rewrite", faultDiskFull: "disk full", faultBackup: "backup", faultRestore: "restored backup", faultClone: "cloned directory",
	faultClockJump: "clock jump", faultSkew: "clock skew", faultSlow: "slow device", faultLoss: "message lost", faultDuplicate: "message duplicated", faultReorder: "message reordered",
	faultJitter: "jitter", faultBandwidth: "bandwidth used up", faultFerry: "ferry crossed", faultGap: "changes before what they build on", faultSilent: "lost on a link that seemed well",
	faultReconnect: "reconnect", faultForge: "forged changes", faultFork: "fork", faultWithhold: "withheld changes", faultGarbage: "garbage",
	faultFlood: "flood", faultReplay: "replay", faultRefused: "message refused",
	faultBlamed: "peer blamed", faultRenewed: "went on as a new actor", faultRewritten: "unsent changes written anew",
}

// faultTable counts faults.
type faultTable [faults]FaultCount

// ask counts a fault that the scenario asks for.
func (t *faultTable) ask(f fault) { t[f].Asked++ }

// saw counts a fault that happened, and had an effect.
func (t *faultTable) saw(f fault) { t[f].Seen++ }

// counts returns the faults that were asked for or seen.
func (t *faultTable) counts() []FaultCount {
	var out []FaultCount
	for f, c := range t {
		if c.Asked+c.Seen > 0 {
			c.Name = faultNames[f]
			out = append(out, c)
		}
	}
	return out
}
