package backup

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"capf/runtime/capf"
)

// Receiver takes what is read from a backup. Until Read has returned without an error nothing of it may be
// trusted. An error of the receiver ends the reading.
type Receiver interface {
	// Begin is told first what is to come.
	Begin(manifest Manifest) error
	// Member gets the members in their order, and reads each to its end.
	Member(member Member, content io.Reader) error
}

// Read reads a backup to its very end. Anything in it that Write would not have written is an error that names
// the place; an error of CodeRefused says that the backup is of another format.
func Read(in io.Reader, to Receiver, progress func(done, total int64)) error {
	r := &reader{in: in, digest: sha256.New()}
	if err := r.read(to, progress); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("it ends too early")
		}
		return r.damaged(err)
	}
	return nil
}

type reader struct {
	in       io.Reader
	digest   hash.Hash // of all that was read
	offset   int64
	manifest Manifest
	received error // by which the receiver ended it
}

func (r *reader) damaged(err error) error {
	if r.received != nil || isTold(err) {
		return err
	}
	return &capf.Error{Code: capf.CodeUnavailable, Message: fmt.Sprintf("the backup is damaged, or is none: byte %d", r.offset), Err: err,
		Hint: "take another copy of it"}
}

func (r *reader) read(to Receiver, progress func(done, total int64)) error {
	if err := r.readManifest(); err != nil {
		return err
	}
	if r.received = to.Begin(r.manifest); r.received != nil {
		return r.received
	}
	meter := &meter{total: r.manifest.total(), tell: progress}
	for _, member := range r.manifest.Members {
		if err := r.readMember(member, to, meter); err != nil {
			return err
		}
	}
	return r.readEnd()
}

// Read gives the bytes of the backup and keeps count.
func (r *reader) Read(into []byte) (int, error) {
	n, err := r.in.Read(into)
	r.digest.Write(into[:n])
	r.offset += int64(n)
	return n, err
}

// take reads so many bytes, of which the caller knows that they are few.
func (r *reader) take(size int64) ([]byte, error) {
	var all bytes.Buffer // grows with what is really there
	n, err := io.CopyN(&all, r, size)
	if err == nil && n != size {
		err = io.ErrUnexpectedEOF
	}
	return all.Bytes(), err
}

// expect reads what must follow, byte by byte.
func (r *reader) expect(want []byte, what string) error {
	begin := r.offset
	got, err := r.take(int64(len(want)))
	if err != nil {
		return err
	}
	for i := range want {
		if got[i] != want[i] {
			r.offset = begin + int64(i)
			return errors.New(what + " is not as it was written")
		}
	}
	return nil
}

func (r *reader) expectZeros(size int64) error {
	return r.expect(make([]byte, padding(size)), "the space behind a file")
}

func (r *reader) readManifest() error {
	first, err := r.take(block)
	if err != nil {
		return err
	}
	head, err := tar.NewReader(bytes.NewReader(first)).Next()
	if err != nil || head.Name != manifestName || head.Size <= 0 || head.Size > maxManifest {
		r.offset = 0
		return errors.New("it does not begin as a backup of capf does")
	}
	raw, err := r.take(head.Size)
	if err != nil {
		return err
	}
	if r.manifest, err = decodeManifest(raw); err != nil {
		return err
	}
	written, err := header(manifestName, head.Size, r.manifest.CreatedAt)
	if err != nil {
		return err
	}
	if !bytes.Equal(first, written) {
		r.offset = 0
		return errors.New("the first header is not as it was written")
	}
	return r.expectZeros(head.Size)
}

func (r *reader) readMember(member Member, to Receiver, meter *meter) error {
	head, err := header(member.Name, member.Size, r.manifest.CreatedAt)
	if err != nil {
		return err
	}
	if err := r.expect(head, "the header of "+member.Name); err != nil {
		return err
	}
	sum := sha256.New()
	content := &io.LimitedReader{R: r, N: member.Size}
	if r.received = to.Member(member, io.TeeReader(content, io.MultiWriter(sum, meter))); r.received != nil && content.N == 0 {
		return r.received
	}
	if content.N > 0 { // the receiver stopped, most likely since the backup ends
		return r.stopped(content)
	}
	if hex.EncodeToString(sum.Sum(nil)) != member.SHA256 {
		return fmt.Errorf("%s is not what it was when the backup was made", member.Name)
	}
	return r.expectZeros(member.Size)
}

// stopped finds out why a receiver did not read to the end.
func (r *reader) stopped(content io.Reader) error {
	if _, err := content.Read(make([]byte, 1)); err != nil {
		r.received = nil
		return err
	}
	if r.received == nil {
		return errors.New("a file was not read to its end")
	}
	return r.received
}

func (r *reader) readEnd() error {
	end, err := tail(r.digest.Sum(nil), r.manifest.CreatedAt)
	if err != nil {
		return err
	}
	if err := r.expect(end, "the digest at the end"); err != nil {
		return err
	}
	if _, err := io.ReadFull(r, make([]byte, 1)); err == nil {
		return errors.New("something follows behind its end")
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}
