package storage

import (
	"fmt"
	"slices"
	"strings"

	"github.com/atollsync/atoll/crdt"
)

// VerifyReport says what a verification looked at.
type VerifyReport struct {
	Records    int
	Batches    int
	Changes    int
	Ops        int
	Signatures int
	Bytes      int64 // of the batches, before compression
}

// Verify reads the log from the datastore anew and checks every checksum, the order and completeness of the
// blocks, and, by adding them to chains, every hash and signature. chains must be empty. Each change is passed to yield
// (unless it is nil), so that the state can be computed; an error of yield ends Verify. Appends
// go on meanwhile; what they add may be left out.
//
// The report holds what was found sound up to the error, if there is one.
func (l *Log) Verify(chains *crdt.Chains, verify crdt.Verify, yield func(crdt.Accepted) error) (VerifyReport, error) {
	l.merging.Lock() // records stay where they are
	defer l.merging.Unlock()
	var report VerifyReport
	records, err := l.rescan()
	if err != nil {
		return report, fmt.Errorf("verify the log of store %s: %w", l.id, err)
	}
	for _, r := range records {
		if err := l.verifyRecord(r, chains, verify, yield, &report); err != nil {
			return report, fmt.Errorf("verify the log of store %s: %w", l.id, err)
		}
	}
	return report, nil
}

// rescan reads all records as Load does, and checks that they are those of the index.
func (l *Log) rescan() ([]blockRecord, error) {
	l.writing.Lock()
	defer l.writing.Unlock()
	if err := l.ready(); err != nil {
		return nil, err
	}
	s := scanner{log: l}
	if err := l.db.each(l.prefix+"/b", false, s.add); err != nil {
		return nil, err
	}
	if err := s.finish(); err != nil {
		return nil, err
	}
	if !slices.Equal(s.records, l.records) {
		return nil, l.db.damage("blocks of "+l.prefix, "the %d records read are not the %d that were loaded or written", len(s.records), len(l.records))
	}
	return s.records, nil
}

func (l *Log) verifyRecord(r blockRecord, chains *crdt.Chains, verify crdt.Verify, yield func(crdt.Accepted) error, report *VerifyReport) error {
	content, err := l.readRecord(r)
	if err != nil {
		return err
	}
	batches, err := l.decode(r, content)
	if err != nil {
		return err
	}
	at := r.span.Start
	for i, b := range batches {
		checked, err := chains.Check(b, verify)
		if err != nil {
			return l.db.damage(r.key(l.prefix), "batch %d: %v", i, err)
		}
		accepted := chains.Add(checked)
		if accepted.Len() != b.Len() {
			return l.db.damage(r.key(l.prefix), "batch %d: %d of its %d changes are in the log before it", i, b.Len()-accepted.Len(), b.Len())
		}
		for a := range accepted.All {
			if a.Span.Start != at {
				return fmt.Errorf("chains were not empty: change %s got local version %d, want %d", a.Dot(), a.Span.Start, at)
			}
			at = a.Span.End
			if yield == nil {
				continue
			}
			if err := yield(a); err != nil {
				return err
			}
		}
		report.Batches++
		report.Changes += b.Len()
		report.Ops += content.batches[i].ops
		report.Signatures += len(b.Sigs)
		report.Bytes += int64(len(content.batches[i].data))
	}
	report.Records++
	return nil
}

// Verify reads every record of the datastore and checks its checksum and its key, and returns how many there
// are. What the records of a log mean is checked by Log.Verify.
func (db *DB) Verify() (records int, err error) {
	if payload, err := db.get(formatKey); err != nil {
		return 0, fmt.Errorf("verify %s (%d bytes): %w", formatKey, len(payload), err)
	}
	records = 1
	err = db.each(dataPrefix, false, func(key string, record []byte) error {
		if !knownKey(key) {
			return db.damage(key, "no record has such a key")
		}
		if _, err := db.unseal(key, record); err != nil {
			return err
		}
		if strings.HasPrefix(key, storesPrefix+"/") {
			if _, err := db.readStore(key, record); err != nil {
				return err
			}
		}
		records++
		return nil
	})
	if err != nil {
		return records, fmt.Errorf("verify: %w", err)
	}
	return records, nil
}

// knownKey reports whether this version writes keys like key.
func knownKey(key string) bool {
	switch {
	case strings.HasPrefix(key, storesPrefix+"/"):
		_, err := parseStoreKey(storesPrefix, key)
		return err == nil
	case strings.HasPrefix(key, forgetPrefix+"/"):
		_, err := parseStoreKey(forgetPrefix, key)
		return err == nil
	}
	name, rest, _ := strings.Cut(strings.TrimPrefix(key, logsPrefix+"/"), "/")
	prefix := logsPrefix + "/" + name
	if b, err := logNames.DecodeString(name); err != nil || len(b) != 16 {
		return false
	}
	switch kind, _, _ := strings.Cut(rest, "/"); kind {
	case "n":
		return key == prefix+"/n"
	case "b":
		_, _, _, err := parseBlockKey(prefix, key)
		return err == nil
	case "p", "d", "s":
		_, err := parseDeviceKey(prefix+"/"+kind, key)
		return err == nil
	}
	return false
}
