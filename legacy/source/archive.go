package source

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"capf/legacy"
)

// archiveKind is what a file is by its first bytes.
type archiveKind string

const (
	zipArchive  archiveKind = "zip"
	tarArchive  archiveKind = "tar"
	gzipArchive archiveKind = "tar.gz"
)

// tarBlock is the size of a header of a tar file, the longest beginning that is looked at.
const tarBlock = 512

// archiveOf tells an archive by its first bytes; empty: it is none.
func archiveOf(start []byte) archiveKind {
	switch {
	case bytes.HasPrefix(start, []byte("PK\x03\x04")), bytes.HasPrefix(start, []byte("PK\x05\x06")):
		return zipArchive
	case bytes.HasPrefix(start, []byte{0x1f, 0x8b}):
		return gzipArchive
	case isTarHeader(start):
		return tarArchive
	default:
		return ""
	}
}

// isTarHeader compares the checksum of a header, which the oldest forms of tar have too.
func isTarHeader(block []byte) bool {
	if len(block) < tarBlock {
		return false
	}
	const from, to = 148, 156
	sum, want := 0, 0
	for i, b := range block[:tarBlock] {
		if i >= from && i < to {
			b = ' '
		}
		sum += int(b)
	}
	text := strings.Trim(string(block[from:to]), " \x00")
	_, err := fmt.Sscanf(text, "%o", &want)
	return err == nil && sum == want
}

// openArchive unpacks what could be CAPF's of an archive. The base is the name that a folder of this content would
// have.
func openArchive(file *os.File, kind archiveKind, bounds limits) (at *place, err error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	content, err := newSpool()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, content.close())
		}
	}()
	u := &unpacker{limits: bounds, name: file.Name(), size: info.Size(), spool: content, files: map[string]*member{}, folded: map[string]string{}}
	switch kind {
	case zipArchive:
		err = u.readZip(file)
	case gzipArchive:
		err = u.readGzip(file)
	default:
		err = u.readTar(file)
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s %w", kind, shownName(file.Name()), err)
	}
	return u.settle(info), nil
}

func (u *unpacker) readGzip(file io.Reader) error {
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		return fmt.Errorf("cannot be unpacked: %w: copy it again", err)
	}
	return u.readTar(&measured{from: unpacked, unpacker: u})
}

// measured holds the ratio for everything that comes out of the compression: members that are passed over must be
// unpacked too, though they are not kept.
type measured struct {
	from     io.Reader
	unpacker *unpacker
}

func (m *measured) Read(into []byte) (int, error) {
	n, err := m.from.Read(into)
	m.unpacker.through += int64(n)
	if failed := m.unpacker.checkRatio(m.unpacker.through); failed != nil {
		return n, failed
	}
	return n, err
}

// settle makes the tree. Where all lies in one folder that is none of those on an old disk, that folder is the
// machine's: it was packed with its name.
func (u *unpacker) settle(info os.FileInfo) *place {
	files := make([]*member, 0, len(u.files))
	for _, file := range u.files {
		files = append(files, file)
	}
	base, top := stem(filepath.Base(u.name)), ""
	for first := commonFolder(files); first != "" && !isKnownFolder(first); first = commonFolder(files) {
		base, top = first, path.Join(top, first)
		for _, file := range files {
			file.path = strings.TrimPrefix(file.path, first+"/")
		}
	}
	made, misplaced := newMemberTree(u.spool, files)
	for _, file := range misplaced {
		u.warn(path.Join(top, file.path), "lies in what is a file of the archive itself: not read")
	}
	findings := u.findings()
	if top != "" {
		findings = append(findings, legacy.Finding{Position: legacy.Position{File: "."}, Severity: legacy.Note,
			Reason: fmt.Sprintf("all that is read of the archive lies in %s, which counts as the machine's folder", shownName(top))})
	}
	return &place{tree: made, info: info, base: base, findings: findings}
}

// commonFolder gives the folder that all members lie in; empty where there is none.
func commonFolder(files []*member) string {
	common := ""
	for i, file := range files {
		first, _, below := strings.Cut(file.path, "/")
		if !below || i > 0 && first != common {
			return ""
		}
		common = first
	}
	return common
}

// isKnownFolder tells the folders that files are looked for in.
func isKnownFolder(name string) bool {
	for _, known := range []string{"Program Files", "Cisco", string(CAPFFolder), string(CertificatesFolder)} {
		if strings.EqualFold(name, known) {
			return true
		}
	}
	return false
}

// stem takes off the ending of a file that can be a source, so that a machine is named alike whether it is given as a
// folder or as an archive.
func stem(name string) string {
	lower := strings.ToLower(name)
	for _, ending := range []string{".tar.gz", ".tgz", ".tar", ".zip", ".csv", ".db", ".db3", ".sqlite", ".sqlite3"} {
		if strings.HasSuffix(lower, ending) && len(name) > len(ending) {
			return name[:len(name)-len(ending)]
		}
	}
	return name
}
