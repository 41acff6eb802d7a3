package storage

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// identityFile holds the device's key: one line of identityTag, the seed and the public key, both in
// hex. The public key is there to notice damage: any seed is a valid one, so a flipped bit
// would turn this device into another.
const (
	identityFile = "identity"
	identityTag  = "atoll-device-key-v1"
)

// loadIdentity returns the key in dir. If there is none it mints one, once: when it returns, the
// key is durable. minted says so.
func loadIdentity(dir string) (key ed25519.PrivateKey, minted bool, err error) {
	path := filepath.Join(dir, identityFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, false, fmt.Errorf("mint device key: %w", err)
		}
		if err := writeFile(path, formatIdentity(key), 0o600); err != nil {
			return nil, false, fmt.Errorf("write device key: %w", err)
		}
		return key, true, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read device key: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, false, fmt.Errorf("read device key: %w", err)
	}
	// Like ssh: whoever else may read the key may write in this device's name.
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode&0o077 != 0 {
		return nil, false, fmt.Errorf("storage: device key %s can be read by others (mode %04o): chmod 600 it, or remove it to become a new device", path, mode)
	}
	key, err = parseIdentity(text)
	if err != nil {
		return nil, false, &CorruptError{Dir: dir, Record: "file " + identityFile, Reason: err.Error()}
	}
	return key, false, nil
}

func formatIdentity(key ed25519.PrivateKey) []byte {
	public := key.Public().(ed25519.PublicKey)
	return fmt.Appendf(nil, "%s %s %s\n", identityTag, hex.EncodeToString(key.Seed()), hex.EncodeToString(public))
}

// parseIdentity reads what formatIdentity writes. Its errors never show the key.
func parseIdentity(text []byte) (ed25519.PrivateKey, error) {
	fields := strings.Fields(string(text))
	if len(fields) != 3 || fields[0] != identityTag {
		return nil, fmt.Errorf("not a line of %q, the key's seed and its public key", identityTag)
	}
	seed, err := hex.DecodeString(fields[1])
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, errors.New("its seed is not 32 bytes in hex")
	}
	key := ed25519.NewKeyFromSeed(seed)
	if public, err := hex.DecodeString(fields[2]); err != nil || !bytes.Equal(public, key.Public().(ed25519.PublicKey)) {
		return nil, errors.New("its seed and its public key do not fit together")
	}
	return key, nil
}

// writeFile puts data at path so that after a crash there is all of it or what was there before.
func writeFile(path string, data []byte, mode fs.FileMode) error {
	temp := path + ".tmp"
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes the names in dir durable.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // directories cannot be opened to be synced; NTFS journals names
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
