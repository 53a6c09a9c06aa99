package backup

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
)

// Write writes a backup. Open gives the content of a member, which must be what the manifest says of it.
// Progress, which may be nil, is told how many of how many bytes of members are written.
func Write(out io.Writer, manifest Manifest, open func(Member) (io.ReadCloser, error), progress func(done, total int64)) error {
	raw, err := manifest.encode()
	if err != nil {
		return err
	}
	w := &writer{digest: sha256.New(), manifest: manifest, progress: meter{total: manifest.total(), tell: progress}}
	w.out = io.MultiWriter(out, w.digest)
	if err := w.begin(manifestName, int64(len(raw))); err != nil {
		return err
	}
	if _, err := w.out.Write(raw); err != nil {
		return err
	}
	if err := w.pad(int64(len(raw))); err != nil {
		return err
	}
	for _, member := range manifest.Members {
		if err := w.member(member, open); err != nil {
			return err
		}
	}
	end, err := tail(w.digest.Sum(nil), manifest.CreatedAt)
	if err != nil {
		return err
	}
	_, err = out.Write(end)
	return err
}

type writer struct {
	out      io.Writer // the backup and its digest
	digest   hash.Hash
	manifest Manifest
	progress meter
}

func (w *writer) begin(name string, size int64) error {
	head, err := header(name, size, w.manifest.CreatedAt)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	_, err = w.out.Write(head)
	return err
}

func (w *writer) pad(size int64) error {
	_, err := w.out.Write(make([]byte, padding(size)))
	return err
}

func (w *writer) member(member Member, open func(Member) (io.ReadCloser, error)) error {
	content, err := open(member)
	if err != nil {
		return err
	}
	defer content.Close()
	if err := w.begin(member.Name, member.Size); err != nil {
		return err
	}
	sum := sha256.New()
	written, err := io.Copy(io.MultiWriter(w.out, sum, &w.progress), io.LimitReader(content, member.Size))
	if err != nil {
		return err
	}
	if written != member.Size || hex.EncodeToString(sum.Sum(nil)) != member.SHA256 {
		return fmt.Errorf("%s was changed while it was read", member.Name)
	}
	return w.pad(member.Size)
}

// meter counts what goes through.
type meter struct {
	done, total int64
	tell        func(done, total int64)
}

func (m *meter) Write(data []byte) (int, error) {
	m.done += int64(len(data))
	if m.tell != nil {
		m.tell(m.done, m.total)
	}
	return len(data), nil
}
