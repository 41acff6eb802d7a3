// Package storage keeps what must survive on a device: for each store the log of
// changes, and beside it the device's key, what the device knows of its stores, what
// peers said they hold, and signed delivery records.
//
// The log alone is truth. Everything else can be lost and is rebuilt, or fetched again
// from peers. A [Log] is a row of blocks, numbered from 0 without gaps, each an encoded batch of changes in
// causal order. [Log.Append] returns once its blocks are durable, and block n is durable before
// block n+1 is written, so a crash leaves a prefix and never a hole.
//
// Nothing is skipped in silence. Each record carries a format version and a checksum that
// binds it to its key: a damaged record, one that belongs elsewhere, a hole and a lost tail are all
// reported as a [CorruptError] that names the record and says what to do.
// Records of a newer format are refused with [ErrNewerFormat].
//
// Two things keep a device from writing one dot twice. A directory is held by one process
// at a time ([ErrInUse]). And wherever an end of a log may have been lost (a torn write was cut off,
// a backup was restored, the device key is a new one) [DB.Stores] gives the zero actor
// in StoreInfo, which says: go on as a new actor. Never copy a data directory to a second
// device; use [DB.Backup], whose copies start new actors.
//
// [Open] keeps everything in a directory, on badger; [New] takes any go-datastore Batching; [Memory]
// is for tests. The suite in storagetest holds for all of them.
package storage
