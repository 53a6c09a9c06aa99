package usecallmanager

import (
	"encoding/binary"
	"errors"
	"io"
	"strings"

	"capf/legacy"
)

// A write-ahead log is a header and frames, each with a header of its own and a page (https://sqlite.org/fileformat2.html,
// section 4.1).
const (
	logHeader      = 32
	frameHeader    = 24
	logMagic       = 0x377f0682 // or one more, by the order of bytes in checksums
	logPageSizeAt  = 8
	smallestPage   = 512
	journalEnding  = "-journal"
	writeAheadName = "-wal"
)

// wholeLog tells whether a write-ahead log ends behind a frame. SQLite passes over whatever is torn without a word. A log
// without anything in it is whole, and so is everything that is none: a rollback journal.
func wholeLog(log legacy.Input) (bool, error) {
	if !strings.HasSuffix(strings.ToLower(log.File), writeAheadName) {
		return true, nil
	}
	content, err := log.Open()
	if err != nil {
		return false, err
	}
	defer content.Close()
	header := make([]byte, logHeader)
	switch _, err := io.ReadFull(content, header); {
	case errors.Is(err, io.EOF):
		return true, nil
	case errors.Is(err, io.ErrUnexpectedEOF):
		return false, nil
	case err != nil:
		return false, err
	}
	frames, err := io.Copy(io.Discard, content)
	page := int64(binary.BigEndian.Uint32(header[logPageSizeAt:]))
	return err == nil && binary.BigEndian.Uint32(header)&^1 == logMagic && page >= smallestPage && frames%(page+frameHeader) == 0, err
}
