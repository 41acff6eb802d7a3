package replica

// Wall returns the last time given.
func (r *Replica) Wall() int64 { return r.wall }
