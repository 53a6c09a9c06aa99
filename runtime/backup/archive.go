package backup

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"time"
)

const block = 512 // of a tar archive, in bytes

// header gives the bytes in front of a file in the archive: one block, or three where a name is not ASCII or a
// size has no place in the first (pax).
func header(name string, size int64, at time.Time) ([]byte, error) {
	var out bytes.Buffer
	err := tar.NewWriter(&out).WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: at})
	return out.Bytes(), err
}

// padding is how many zeros follow a file of that size.
func padding(size int64) int64 { return -size & (block - 1) }

// tail gives the end of an archive whose bytes so far have that digest: the member with the digest, and the two
// blocks of zeros that end a tar archive.
func tail(digest []byte, at time.Time) ([]byte, error) {
	content := hex.EncodeToString(digest) + "\n"
	end, err := header(digestName, int64(len(content)), at)
	if err != nil {
		return nil, err
	}
	end = append(end, content...)
	return append(end, make([]byte, padding(int64(len(content)))+2*block)...), nil
}

// digestOf gives the SHA-256 of something that is in memory, as manifests have it.
func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
