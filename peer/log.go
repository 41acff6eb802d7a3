package peer

// Keys of log attributes. Messages are constant; facts go in attributes under these keys.
const (
	logStore    = "store"
	logPeer     = "peer"
	logAddr     = "addr"
	logAddrs    = "addrs"
	logError    = "err"
	logActor    = "actor"
	logDiverged = "diverged"
	logFork     = "fork"
	logMessage  = "message"
	logShared   = "shared"
	logTicket   = "ticket"
	logUntil    = "until"
	logDevice   = "device"
	logNotice   = "notice"
)
