// Package storagetest tests storage: a conformance suite ([Run]) for whatever a storage.DB may
// stand on, a datastore that crashes and fails on demand ([Disk]), and histories of signed changes to
// put into logs ([History]).
//
// Whoever puts Atoll on a datastore of their own runs the suite in a test:
//
//	storagetest.Run(t, func(t *testing.T) storagetest.Opener {
//		dir := t.TempDir()
//		return func() (*storage.DB, error) {
//			ds, err := mydatastore.Open(dir)
//			if err != nil {
//				return nil, err
//			}
//			return storage.New(ds, storage.Config{Key: storagetest.Key(0)})
//		}
//	})
package storagetest
