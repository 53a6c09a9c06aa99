package backup

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"filippo.io/age"

	"capf/runtime/capf"
)

// Source is a data directory of which backups are made.
type Source struct {
	Data    string
	Machine string           // its name, for a person
	Clock   func() time.Time // never nil

	// Snapshot writes the store, as it is at one moment, into a new file.
	Snapshot func(ctx context.Context, into string) error
	// Inspect says what a data directory is, and fails where something in it is damaged.
	Inspect func(ctx context.Context, data string) (Contents, error)

	Progress func(done, total int64) // bytes; may be nil
}

// Backup is what a backup was made of.
type Backup struct {
	Manifest
	LeftOut []string // at the top of the data directory, and nothing of capf's
}

// Create writes a backup to out, encrypted for the recipients where there are any. The data directory needs
// room for a copy of the store. Nobody who works on it has to wait. CodeBusy while another backup is made of it,
// or where its keys would not keep still.
func (s Source) Create(ctx context.Context, out io.Writer, recipients []age.Recipient) (Backup, error) {
	leftOut, err := s.foreign()
	if err != nil {
		return Backup{}, err
	}
	image, err := takeScratch(filepath.Join(s.Data, scratchName), "another backup of "+s.Data+" is being made")
	if err != nil {
		return Backup{}, err
	}
	manifest, err := s.create(ctx, image.image(), out, recipients)
	if removed := image.remove(); err == nil && removed != nil {
		err = folderError(image.path, removed)
	}
	return Backup{Manifest: manifest, LeftOut: leftOut}, err
}

// foreign gives what is at the top of the data directory that capf did not make.
func (s Source) foreign() (names []string, err error) {
	entries, err := os.ReadDir(s.Data)
	if errors.Is(err, os.ErrNotExist) {
		return nil, &capf.Error{Code: capf.CodeNotActivated, Message: "there is no data directory " + s.Data, Hint: "say with --data where it is"}
	}
	if err != nil {
		return nil, folderError(s.Data, err)
	}
	for _, entry := range entries {
		if isForeign(entry.Name()) {
			names = append(names, entry.Name())
		}
	}
	return names, nil
}

func (s Source) create(ctx context.Context, image string, out io.Writer, recipients []age.Recipient) (Manifest, error) {
	if err := s.freeze(ctx, image); err != nil {
		return Manifest{}, err
	}
	manifest := Manifest{Format: Format, CreatedAt: s.Clock().UTC().Truncate(time.Second)}
	if isText(s.Machine) {
		manifest.Machine = s.Machine
	}
	var err error
	if manifest.Contents, err = s.Inspect(ctx, image); err != nil {
		return Manifest{}, err
	}
	if manifest.Members, err = members(ctx, image); err != nil {
		return Manifest{}, err
	}
	open := func(member Member) (io.ReadCloser, error) {
		return openMember(ctx, filepath.Join(image, filepath.FromSlash(member.Name)))
	}
	err = encrypted(out, recipients, func(plain io.Writer) error { return Write(plain, manifest, open, s.Progress) })
	if err != nil {
		return Manifest{}, writeError(err)
	}
	return manifest, nil
}

func openMember(ctx context.Context, path string) (io.ReadCloser, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{interruptible{ctx, file}, file}, nil
}

func writeError(err error) error {
	if isTold(err) {
		return err
	}
	return &capf.Error{Code: capf.CodeUnavailable, Message: "write the backup", Err: err, Hint: "check space and permissions"}
}

// encrypted has something written through age, or as it is where there is no recipient.
func encrypted(out io.Writer, recipients []age.Recipient, write func(io.Writer) error) error {
	buffered := bufio.NewWriterSize(out, 1<<16)
	plain, finish := io.Writer(buffered), func() error { return nil }
	if len(recipients) > 0 {
		sealed, err := age.Encrypt(buffered, recipients...)
		if err != nil {
			return fmt.Errorf("encrypt: %w", err)
		}
		plain, finish = sealed, sealed.Close
	}
	if err := write(plain); err != nil {
		return err
	}
	return errors.Join(finish(), buffered.Flush())
}
