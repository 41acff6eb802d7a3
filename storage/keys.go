package storage

import (
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/ipfs/go-datastore"

	"github.com/atollsync/atoll/crdt"
	"github.com/atollsync/atoll/crdt/causal"
)

// The keys, all of printable ASCII, so that they mean the same to every datastore and
// query prefixes (which go through path.Clean) match them as they are:
//
//	/format                          the format of everything else
//	/v1/stores/<store>               a StoreInfo
//	/v1/forget/<store>               the store is being forgotten; removed last
//	/v1/log/<log>/b/<first>          blocks [first, first+n), n is in the record
//	/v1/log/<log>/b/<first>-<last>   merged blocks [first, last]
//	/v1/log/<log>/n                  a number of blocks that were durable before this was written
//	/v1/log/<log>/p/<device>         what a peer holds
//	/v1/log/<log>/d/<device>         a delivery record
//	/v1/log/<log>/s/<device>         what this device knows of its own standing
//
// <store> is the ID in hex, <log> the first 16 bytes of it in base32, block numbers 12 hex
// digits: byte order is number order, and a merged record comes right after the parts it starts with.
const (
	formatKey    = "/format"
	dataPrefix   = "/v1"
	storesPrefix = "/v1/stores"
	forgetPrefix = "/v1/forget"
	logsPrefix   = "/v1/log"

	numberDigits = 12
	maxNumber    = 1<<(4*numberDigits) - 1
)

var logNames = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

func storeKey(id crdt.StoreID) string  { return storesPrefix + "/" + hex.EncodeToString(id[:]) }
func forgetKey(id crdt.StoreID) string { return forgetPrefix + "/" + hex.EncodeToString(id[:]) }
func logPrefix(id crdt.StoreID) string { return logsPrefix + "/" + logNames.EncodeToString(id[:16]) }

func deviceKey(prefix string, d causal.Device) string {
	return prefix + "/" + hex.EncodeToString(d[:])
}

// parseStoreKey returns the store a key under prefix names.
func parseStoreKey(prefix, key string) (crdt.StoreID, error) {
	var id crdt.StoreID
	b, err := hex.DecodeString(strings.TrimPrefix(key, prefix+"/"))
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("key %q names no store", key)
	}
	copy(id[:], b)
	return id, nil
}

// parseDeviceKey returns the device a key under prefix names.
func parseDeviceKey(prefix, key string) (causal.Device, error) {
	var d causal.Device
	b, err := hex.DecodeString(strings.TrimPrefix(key, prefix+"/"))
	if err != nil || len(b) != len(d) {
		return d, fmt.Errorf("key %q names no device", key)
	}
	copy(d[:], b)
	return d, nil
}

// blockKey names the record of the blocks [first, last]; last counts only if merged.
func blockKey(prefix string, first, last uint64, merged bool) string {
	if merged {
		return fmt.Sprintf("%s/b/%012x-%012x", prefix, first, last)
	}
	return fmt.Sprintf("%s/b/%012x", prefix, first)
}

// parseBlockKey is the inverse of blockKey. last is 0 for a record that is not merged.
func parseBlockKey(prefix, key string) (first, last uint64, merged bool, err error) {
	head, end, merged := strings.Cut(strings.TrimPrefix(key, prefix+"/b/"), "-")
	first, err = strconv.ParseUint(head, 16, 64)
	if err == nil && merged {
		last, err = strconv.ParseUint(end, 16, 64)
	}
	// Only the one spelling that blockKey gives: no sign, no capitals, all digits.
	if err != nil || merged && last <= first || blockKey(prefix, first, last, merged) != key {
		return 0, 0, false, fmt.Errorf("key %q names no block", key)
	}
	return first, last, merged, nil
}

func dsKey(key string) datastore.Key { return datastore.RawKey(key) }
