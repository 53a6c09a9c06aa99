// Package machine reads all that one machine left behind: phone records, configuration and certificates, with the
// findings and the lines kept aside (legacy-layout.md).
package machine

import (
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/hashicorp/go-multierror"

	"capf/legacy"
	"capf/legacy/certfile"
	"capf/legacy/cfgfile"
	"capf/legacy/dialect"
	"capf/legacy/phonefile"
	"capf/legacy/source"
)

// Options say how to read.
type Options struct {
	// Dialect is the one that the administrator named, for the kinds of files that it describes; nil: the built-in
	// ones, each file by the one that fits it.
	Dialect *dialect.Dialect
	// Now is the time that certificate dates are compared with; zero: they are not.
	Now time.Time
	// Listen gives somebody who hears what a file with phone records holds while it is found out how it is read; nil:
	// nobody does. It is asked in the order of PhoneFiles.
	Listen func() phonefile.Listener
}

// PhoneFile is one phone record file and how it is read.
type PhoneFile struct {
	source.File
	Reading *phonefile.File
	// Heard has heard all that Reading would give; nil: nobody has.
	Heard phonefile.Listener
}

// Part is one file with phone records.
type Part struct {
	Heard phonefile.Listener // as in PhoneFile
	Items iter.Seq2[phonefile.Item, error]
}

// FurtherFile is a file with phone records that are not written as 1.0(1) wrote them.
type FurtherFile struct {
	source.File
	// Reader says for a person how it is read, Columns which of its columns are.
	Reader, Columns string
	Encoding        string // of a list; SQLite for a database
	Records         interface {
		Items() iter.Seq2[phonefile.Item, error]
	}
}

// ConfigurationFile is one configuration and what it holds.
type ConfigurationFile struct {
	source.File
	Content *cfgfile.File
}

// Machine is what one machine left behind. Phone records may be many, so they are read when asked for (Items); the
// rest is in memory.
type Machine struct {
	Source         *source.Source
	PhoneFiles     []PhoneFile
	Further        []FurtherFile
	Configurations []ConfigurationFile
	Certificates   []certfile.Certificate
	// Kept are the lines kept aside from configurations and certificate files; those of phone records are among Items.
	Kept []legacy.KeptLine
	// Findings are those of the source, of configurations and of certificate files.
	Findings []legacy.Finding
}

// Read reads a machine whose source is open, and must stay so while Items is used. Its error lists every file that
// cannot be read or that no dialect fits.
func Read(from *source.Source, options Options) (*Machine, error) {
	parts, failures := readFiles(from, options)
	out := &Machine{Source: from, Findings: append([]legacy.Finding(nil), from.Findings...)}
	failed := &multierror.Error{ErrorFormat: legacy.OneLine}
	for i := range parts {
		out.Join(&parts[i])
		if failures[i] != nil {
			failed = multierror.Append(failed, fmt.Errorf("source %s: %w", from.Name, failures[i]))
		}
	}
	if err := failed.ErrorOrNil(); err != nil {
		return nil, err
	}
	return out, nil
}

// readFiles gives what each file holds, or its failure. Certificates, of which there may be thousands, are read beside
// the others, of which one may be large.
func readFiles(from *source.Source, options Options) ([]Machine, []error) {
	parts, failures := make([]Machine, len(from.Files)), make([]error, len(from.Files))
	readThose := func(certificates bool) {
		for i, file := range from.Files {
			if holdsCertificates(file.Kind) == certificates {
				parts[i].Source = from
				failures[i] = parts[i].read(file, options)
			}
		}
	}
	var beside sync.WaitGroup
	beside.Go(func() { readThose(true) })
	readThose(false)
	beside.Wait()
	return parts, failures
}

func holdsCertificates(kind source.Kind) bool {
	switch kind {
	case source.PhoneRecords, source.Configuration, source.PhoneDatabase, source.PhoneList, source.DatabaseLog:
		return false
	}
	return true
}

// Join adds what the next files of the machine hold.
func (m *Machine) Join(next *Machine) {
	m.PhoneFiles = append(m.PhoneFiles, next.PhoneFiles...)
	m.Further = append(m.Further, next.Further...)
	m.Configurations = append(m.Configurations, next.Configurations...)
	m.Certificates = append(m.Certificates, next.Certificates...)
	m.Kept = append(m.Kept, next.Kept...)
	m.Findings = append(m.Findings, next.Findings...)
}

func (m *Machine) read(file source.File, options Options) error {
	switch file.Kind {
	case source.PhoneRecords:
		return m.readPhones(file, options)
	case source.Configuration:
		return m.readConfiguration(file, options.Dialect)
	case source.PhoneDatabase:
		return m.readDatabase(file)
	case source.PhoneList:
		return m.readList(file, options.Dialect)
	case source.DatabaseLog:
		return nil // read with its database
	default:
		return m.readCertificates(file, options.Now)
	}
}

func (m *Machine) readPhones(file source.File, options Options) (err error) {
	var reading *phonefile.File
	var listener phonefile.Listener
	if options.Dialect != nil && options.Dialect.Reads(dialect.Phones) {
		reading, err = phonefile.OpenAs(file.Input(), options.Dialect)
	} else {
		if options.Listen != nil {
			listener = options.Listen()
		}
		var heard bool
		if reading, heard, err = phonefile.OpenHeard(file.Input(), dialect.Builtin(), listener); !heard {
			listener = nil
		}
	}
	if err != nil {
		return err
	}
	if reading.Dialect == nil {
		m.nothing(file)
	}
	m.PhoneFiles = append(m.PhoneFiles, PhoneFile{file, reading, listener})
	return nil
}

func (m *Machine) readConfiguration(file source.File, named *dialect.Dialect) (err error) {
	var content *cfgfile.File
	if named != nil && named.Reads(dialect.Configuration) {
		content, err = cfgfile.ReadAs(file.Input(), named)
	} else {
		content, err = cfgfile.Read(file.Input(), dialect.Builtin())
	}
	if err != nil {
		return err
	}
	if content.Dialect == nil {
		m.nothing(file)
	}
	m.Configurations = append(m.Configurations, ConfigurationFile{file, content})
	m.Kept = append(m.Kept, content.Kept...)
	m.Findings = append(m.Findings, content.Findings...)
	return nil
}

func (m *Machine) readCertificates(file source.File, now time.Time) error {
	content, err := certfile.Read(file.Input(), certfile.Options{
		InCAPFFolder: file.Folder == source.CAPFFolder,
		IsCAPFCer:    file.Kind == source.CAPFCertificate,
		IsIdentity:   file.Kind == source.Identity,
		Now:          now,
	})
	if err != nil {
		return err
	}
	m.Certificates = append(m.Certificates, content.Certificates...)
	m.Kept = append(m.Kept, content.Kept...)
	m.Findings = append(m.Findings, content.Findings...)
	return nil
}

func (m *Machine) nothing(file source.File) {
	m.Findings = append(m.Findings, legacy.Finding{
		Position: legacy.Position{File: file.Path}, Severity: legacy.Warning, Reason: "has nothing to read in it",
	})
}

// Settings gives the settings of all configurations, in their order.
func (m *Machine) Settings() []cfgfile.Setting {
	var out []cfgfile.Setting
	for _, configuration := range m.Configurations {
		out = append(out, configuration.Content.Settings...)
	}
	return out
}

// Parts are the files with phone records. Each is read from its beginning when its items are asked for; after an error
// nothing follows.
func (m *Machine) Parts() []Part {
	var all []Part
	for _, file := range m.PhoneFiles {
		all = append(all, Part{file.Heard, m.named(file.Reading.Items())})
	}
	for _, file := range m.Further {
		all = append(all, Part{nil, m.named(file.Records.Items())})
	}
	return all
}

// named adds the name of the machine to errors.
func (m *Machine) named(items iter.Seq2[phonefile.Item, error]) iter.Seq2[phonefile.Item, error] {
	return func(yield func(phonefile.Item, error) bool) {
		for item, err := range items {
			if err != nil {
				yield(item, fmt.Errorf("source %s: %w", m.Source.Name, err))
				return
			}
			if !yield(item, nil) {
				return
			}
		}
	}
}

// Items reads all files with phone records from their beginnings, one after the other. After an error nothing follows.
func (m *Machine) Items() iter.Seq2[phonefile.Item, error] {
	return func(yield func(phonefile.Item, error) bool) {
		for _, part := range m.Parts() {
			for item, err := range part.Items {
				if !yield(item, err) || err != nil {
					return
				}
			}
		}
	}
}
