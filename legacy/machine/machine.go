// Package machine reads all that one machine left behind: phone records, configuration and certificates, with the
// findings and the lines kept aside (legacy-layout.md).
package machine

import (
	"fmt"
	"iter"
	"slices"
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
}

// PhoneFile is one phone record file and how it is read.
type PhoneFile struct {
	source.File
	Reading *phonefile.File
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
// cannot be read or that no dialect fits; the machine beside it has what could be read.
func Read(from *source.Source, options Options) (*Machine, error) {
	out := &Machine{Source: from, Findings: slices.Clone(from.Findings)}
	failed := &multierror.Error{ErrorFormat: legacy.OneLine}
	for _, file := range from.Files {
		if err := out.read(file, options); err != nil {
			failed = multierror.Append(failed, fmt.Errorf("source %s: %w", from.Name, err))
		}
	}
	return out, failed.ErrorOrNil()
}

func (m *Machine) read(file source.File, options Options) error {
	switch file.Kind {
	case source.PhoneRecords:
		return m.readPhones(file, options.Dialect)
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

func (m *Machine) readPhones(file source.File, named *dialect.Dialect) (err error) {
	var reading *phonefile.File
	if named != nil && named.Reads(dialect.Phones) {
		reading, err = phonefile.OpenAs(file.Input(), named)
	} else {
		reading, err = phonefile.Open(file.Input(), dialect.Builtin())
	}
	if err != nil {
		return err
	}
	if reading.Dialect == nil {
		m.nothing(file)
	}
	m.PhoneFiles = append(m.PhoneFiles, PhoneFile{file, reading})
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

// Items reads all files with phone records from their beginnings, one after the other. After an error, which names the
// source, nothing follows.
func (m *Machine) Items() iter.Seq2[phonefile.Item, error] {
	var files []iter.Seq2[phonefile.Item, error]
	for _, file := range m.PhoneFiles {
		files = append(files, file.Reading.Items())
	}
	for _, file := range m.Further {
		files = append(files, file.Records.Items())
	}
	return func(yield func(phonefile.Item, error) bool) {
		for _, items := range files {
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
}
