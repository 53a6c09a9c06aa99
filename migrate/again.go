package migrate

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"capf/legacy"
	"capf/legacy/phonefile"
)

// Reading a file takes most of its time for cutting and understanding lines. The second time only the bytes of records
// are wanted. Where they stand is known, and their digests tell whether they are the same; so they are just copied out
// of the file. Where a record is not one piece of its file, all of it is read as before.

// fewLines is how many lines kept aside are remembered, each of no more than fewBytes.
const (
	fewLines = 1000
	fewBytes = 1 << 10
)

// errOtherContent says that a file has changed while it was in use.
var errOtherContent = errors.New("gives other records than when it was read first: run again when nobody writes there")

// errNotThere says that the bytes of a record do not stand where it begins.
var errNotThere = errors.New("record is not one piece of its file")

// again gives each record, in their order, with its bytes, and each line kept aside.
func (m *machineReading) again(give func(*record, []byte) error, kept func(legacy.KeptLine) error) error {
	given := 0
	err := errNotThere
	if m.kept == len(m.lines) {
		err = m.copyOut(func(known *record, bytes []byte) error {
			given++
			return give(known, bytes)
		})
	}
	if errors.Is(err, errNotThere) {
		return m.readAgain(given, give, kept)
	}
	for _, line := range m.lines {
		if err == nil {
			err = kept(line)
		}
	}
	return err
}

// copyOut gives the records with what stands in their places.
func (m *machineReading) copyOut(give func(*record, []byte) error) error {
	rest := m.records
	for _, file := range m.PhoneFiles {
		count := 0
		for count < len(rest) && rest[count].file == file.Path {
			count++
		}
		if err := copyRecords(file.Input(), rest[:count], give); err != nil {
			return err
		}
		rest = rest[count:]
	}
	if len(rest) > 0 {
		return errNotThere
	}
	return nil
}

func copyRecords(input legacy.Input, records []*record, give func(*record, []byte) error) error {
	if len(records) == 0 {
		return nil
	}
	opened, err := input.Open()
	if err != nil {
		return unavailable(err)
	}
	defer opened.Close()
	reader := bufio.NewReaderSize(opened, 1<<16)
	var room space
	at := int64(0)
	for _, one := range records {
		if one.offset < at {
			return errNotThere
		}
		if _, err := reader.Discard(int(one.offset - at)); err != nil {
			return cutShort(input, err)
		}
		bytes := room.take(int(one.size))
		if _, err := io.ReadFull(reader, bytes); err != nil {
			return cutShort(input, err)
		}
		if sha256.Sum256(bytes) != one.digest {
			return errNotThere
		}
		at = one.offset + int64(one.size)
		if err := give(one, bytes); err != nil {
			return err
		}
	}
	// At its end the file is compared with what it was.
	if _, err := io.Copy(io.Discard, reader); err != nil {
		return unavailable(err)
	}
	return nil
}

// space is room for the bytes of many records: each by itself is too small to be worth the trouble.
type space []byte

const spaceAtOnce = 1 << 15

func (s *space) take(size int) []byte {
	if size > len(*s) {
		*s = make([]byte, max(size, spaceAtOnce))
	}
	out := (*s)[:size:size]
	*s = (*s)[size:]
	return out
}

// cutShort tells a file that is too short for a record, so that this cannot stand there, from one that cannot be read.
func cutShort(input legacy.Input, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errNotThere
	}
	return unavailable(fmt.Errorf("%s: %w", input.File, err))
}

// readAgain reads the phone files once more and gives records, but for the first ones, and lines kept aside.
func (m *machineReading) readAgain(skip int, give func(*record, []byte) error, kept func(legacy.KeptLine) error) error {
	next := 0
	for item, err := range m.Items() {
		switch {
		case err != nil:
			return unavailable(err)
		case item.Kind == phonefile.KindKept:
			err = kept(*item.Kept)
		case item.Kind == phonefile.KindRecord:
			if next == len(m.records) || sha256.Sum256(item.Record.Bytes) != m.records[next].digest {
				return unavailable(fmt.Errorf("source %s: %w", m.name, errOtherContent))
			}
			if next++; next > skip {
				err = give(m.records[next-1], item.Record.Bytes)
			}
		}
		if err != nil {
			return err
		}
	}
	if next != len(m.records) {
		return unavailable(fmt.Errorf("source %s: %w", m.name, errOtherContent))
	}
	return nil
}
