package machine

import (
	"errors"
	"fmt"
	"strings"

	"capf/legacy"
	"capf/legacy/dialect"
	"capf/legacy/phonelist"
	"capf/legacy/source"
	"capf/legacy/text"
	"capf/legacy/usecallmanager"
)

// readDatabase reads the database of a usecallmanager daemon. Another database that lies among the files is passed
// over; one that was given as the source is an error.
func (m *Machine) readDatabase(file source.File) error {
	var logs []legacy.Input
	for _, log := range file.Logs {
		logs = append(logs, log.Input())
	}
	read, err := usecallmanager.Open(file.Input(), logs)
	var other *usecallmanager.OtherError
	if errors.As(err, &other) {
		return m.passOver(file, other.Reason)
	}
	if err != nil {
		return err
	}
	m.Further = append(m.Further, FurtherFile{File: file, Reader: "usecallmanager database", Encoding: "SQLite", Records: read})
	m.Certificates, read.Certificates = append(m.Certificates, read.Certificates...), nil // of many phones they are much
	m.Findings = append(m.Findings, read.Findings...)
	return nil
}

// readList reads a list of phones. A file that only lies there must say more of phones than their names to be one.
func (m *Machine) readList(file source.File, named *dialect.Dialect) error {
	encoding := text.Encoding("")
	if named != nil {
		encoding = named.Encoding
	}
	read, err := phonelist.Open(file.Input(), encoding)
	var other *phonelist.OtherError
	if err == nil && !m.Source.Single && !read.AboutCertificates() {
		other = &phonelist.OtherError{Reason: "names phones and nothing of their certificates: no list of phones; it can be given as a source of its own"}
	}
	if errors.As(err, &other) || other != nil {
		return m.passOver(file, other.Reason)
	}
	if err != nil {
		return err
	}
	m.Further = append(m.Further, FurtherFile{File: file, Reader: "list of phones", Columns: strings.Join(read.Known, ", "),
		Encoding: string(read.Encoding), Records: read})
	m.Findings = append(m.Findings, read.Findings...)
	return nil
}

// passOver notes a file that is not read; it is an error where it is all that the source has.
func (m *Machine) passOver(file source.File, reason string) error {
	position := legacy.Position{File: file.Path}
	if m.Source.Single {
		return fmt.Errorf("%s %s", position, reason)
	}
	m.Findings = append(m.Findings, legacy.Finding{Position: position, Severity: legacy.Warning, Reason: reason + ": not read"})
	return nil
}
