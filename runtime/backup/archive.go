package backup

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"capf/runtime/capf"
)

// The archive of a backup is written and read by one piece of code (carry). To read, the bytes of the backup take the place
// of the file that is written: each byte that carry would write must be the next one of the backup.

const (
	manifestName = "capf-backup.json"
	digestName   = "capf-backup.sha256"

	block = 512 // of a tar archive, in bytes
)

// Write writes a backup. Open gives the content of a member, which must be what the manifest says of it.
// Progress, which may be nil, is told how many of how many bytes of members are written.
func Write(out io.Writer, manifest Manifest, open func(Member) (io.ReadCloser, error), progress func(done, total int64)) error {
	return manifest.carry(out, func(member Member, into io.Writer) error {
		content, err := open(member)
		if err != nil {
			return err
		}
		defer content.Close()
		sum := sha256.New()
		_, err = io.CopyN(io.MultiWriter(into, sum), content, member.Size)
		if errors.Is(err, io.EOF) || err == nil && hex.EncodeToString(sum.Sum(nil)) != member.SHA256 {
			return fmt.Errorf("%s was changed while it was read", member.Name)
		}
		return err
	}, progress, func(string) {})
}

// Read reads a backup to its very end. Begin is told first what is to come, and create then makes the place for each
// member, in their order. Until Read has returned without an error nothing of it may be trusted. Anything in it that Write
// would not have written is an error that names the place; an error of CodeRefused says that the backup is of another
// format. Errors of begin and create, and of writing to what it made, end the reading as they are if they are of capf.
func Read(in io.Reader, begin func(Manifest) error, create func(Member) (io.WriteCloser, error), progress func(done, total int64)) error {
	r := &reader{in: in}
	err := r.read(begin, create, progress)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("it ends too early")
	}
	if err == nil || isTold(err) {
		return err
	}
	return &capf.Error{Code: capf.CodeUnavailable, Message: fmt.Sprintf("the backup is damaged, or is none: byte %d", r.offset), Err: err,
		Hint: "take another copy of it"}
}

// carry writes the archive of a manifest. Content writes that of a member, all of it. Place is told what comes next.
func (m Manifest) carry(out io.Writer, content func(Member, io.Writer) error, progress func(done, total int64), place func(string)) error {
	raw, err := m.encode()
	if err != nil {
		return err
	}
	sum := sha256.New()
	archive := tar.NewWriter(io.MultiWriter(out, sum))
	put := func(name, header string, size int64, write func(io.Writer) error) error {
		place(header)
		if err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: m.CreatedAt}); err != nil {
			return err
		}
		place(name)
		if err := write(archive); err != nil {
			return err
		}
		place("the space behind " + name)
		return archive.Flush()
	}
	text := func(text []byte) func(io.Writer) error {
		return func(into io.Writer) error { _, err := into.Write(text); return err }
	}
	if err := put(manifestName, "the first header", int64(len(raw)), text(raw)); err != nil {
		return err
	}
	meter := &meter{total: m.total(), tell: progress}
	for _, member := range m.Members {
		err := put(member.Name, "the header of "+member.Name, member.Size, func(into io.Writer) error { return content(member, io.MultiWriter(into, meter)) })
		if err != nil {
			return err
		}
	}
	end := []byte(hex.EncodeToString(sum.Sum(nil)) + "\n")
	if err := put(digestName, "the digest at the end", int64(len(end)), text(end)); err != nil {
		return err
	}
	place("the end")
	return archive.Close()
}

// reader gives the bytes of a backup, and knows where it is.
type reader struct {
	in     io.Reader
	offset int64
	place  string // what the next bytes are
	member bool   // they are the content of a member
}

func (r *reader) read(begin func(Manifest) error, create func(Member) (io.WriteCloser, error), progress func(done, total int64)) error {
	manifest, err := r.manifest()
	if err != nil {
		return err
	}
	if err := begin(manifest); err != nil {
		return err
	}
	err = manifest.carry(r, func(member Member, into io.Writer) error {
		return r.take(member, into, create)
	}, progress, func(place string) { r.place = place })
	if err != nil {
		return err
	}
	if _, err := io.ReadFull(r, make([]byte, 1)); err == nil {
		return errors.New("something follows behind its end")
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// manifest reads ahead what a backup begins with, which is then read again.
func (r *reader) manifest() (Manifest, error) {
	var read bytes.Buffer // grows with what is really there
	if _, err := io.CopyN(&read, r, block); err != nil {
		return Manifest{}, err
	}
	head, err := tar.NewReader(bytes.NewReader(read.Bytes())).Next()
	if err != nil || head.Name != manifestName || head.Size <= 0 || head.Size > maxManifest {
		r.offset = 0
		return Manifest{}, errors.New("it does not begin as a backup of capf does")
	}
	if _, err := io.CopyN(&read, r, head.Size); err != nil {
		return Manifest{}, err
	}
	r.in, r.offset = io.MultiReader(bytes.NewReader(read.Bytes()), r.in), 0
	return decodeManifest(read.Bytes()[block:])
}

// take reads the content of a member.
func (r *reader) take(member Member, into io.Writer, create func(Member) (io.WriteCloser, error)) error {
	file, err := create(member)
	if err != nil {
		return err
	}
	r.member = true
	sum := sha256.New()
	_, err = io.CopyN(io.MultiWriter(file, into, sum), r, member.Size)
	r.member = false
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	if hex.EncodeToString(sum.Sum(nil)) != member.SHA256 {
		return fmt.Errorf("%s is not what it was when the backup was made", member.Name)
	}
	return nil
}

// Read gives the next bytes.
func (r *reader) Read(into []byte) (int, error) {
	n, err := r.in.Read(into)
	r.offset += int64(n)
	return n, err
}

// Write reads what must follow, and compares it byte by byte. The content of a member was just read.
func (r *reader) Write(want []byte) (int, error) {
	if r.member {
		return len(want), nil
	}
	begin := r.offset
	got := make([]byte, len(want))
	n, err := io.ReadFull(r, got)
	for i := range n {
		if got[i] != want[i] {
			r.offset = begin + int64(i)
			return i, errors.New(r.place + " is not as it was written")
		}
	}
	return n, err
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

func isDigest(text string) bool {
	raw, err := hex.DecodeString(text)
	return err == nil && len(raw) == sha256.Size && text == strings.ToLower(text)
}
