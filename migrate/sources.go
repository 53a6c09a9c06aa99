package migrate

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"

	"capf/legacy"
	"capf/legacy/dialect"
	"capf/legacy/source"
	"capf/runtime/capf"
)

// sources are the folders of one run, open and digested. Close them.
type sources struct {
	options Options
	dialect *dialect.Dialect // nil: the built-in ones
	opened  []*source.Source // by name
}

// openSources opens all folders, or says what stands in the way of each.
func openSources(specs []source.Spec, options Options) (*sources, error) {
	options, err := options.filled()
	if err != nil {
		return nil, err
	}
	if specs, err = sorted(specs); err != nil {
		return nil, err
	}
	if err := checkPrefer(options.Prefer, specs); err != nil {
		return nil, err
	}
	out := &sources{options: options}
	if out.dialect, err = loadDialect(options.Dialect); err != nil {
		return nil, err
	}
	failed := several()
	for _, spec := range specs {
		opened, err := source.Open(spec)
		if err != nil {
			failed = multierror.Append(failed, unavailable(err))
			continue
		}
		out.opened = append(out.opened, opened)
	}
	if failed.ErrorOrNil() != nil {
		return nil, multierror.Append(failed, problemsOf(out.close())...)
	}
	return out, nil
}

func loadDialect(path string) (*dialect.Dialect, error) {
	if path == "" {
		return nil, nil
	}
	loaded, err := dialect.Load(path)
	if err != nil {
		return nil, &capf.Error{Code: capf.CodeInvalid, Message: "reading the sources", Err: err}
	}
	return loaded, nil
}

func (s *sources) close() error {
	failed := several()
	for _, opened := range s.opened {
		if err := opened.Close(); err != nil {
			failed = multierror.Append(failed, fmt.Errorf("source %s: %w", opened.Name, err))
		}
	}
	return failed.ErrorOrNil()
}

// key is what a run is known by: what the sources hold, how they are read and how conflicts are decided. The folders
// do not matter, and neither does the order. The publisher is the one that PreferPublisher stands for.
func (s *sources) key(publisher string) string {
	hash := sha256.New()
	for _, opened := range s.opened {
		fmt.Fprintf(hash, "source %q %x\n", opened.Name, opened.Digest())
	}
	dialects := dialect.Builtin()
	if s.dialect != nil {
		dialects = append(dialects, s.dialect)
	}
	for _, one := range dialects {
		fmt.Fprintf(hash, "dialect %s\n", one.Digest())
	}
	fmt.Fprintf(hash, "prefer %q\n", strings.ToLower(s.options.Prefer))
	if s.options.Prefer == PreferPublisher {
		fmt.Fprintf(hash, "publisher %q\n", publisher)
	}
	for _, anchor := range s.options.Anchors {
		fmt.Fprintf(hash, "anchor %s\n", anchor)
	}
	for _, decision := range s.options.Decisions.made() {
		fmt.Fprintf(hash, "decision %q %q\n", decision.Device, decision.Choose)
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// publisher finds the source that is the publisher: the one named so, or named like the publisher's node, else the
// only one with a CAPF.cer, which the publisher alone has (legacy-layout.md). Empty: it cannot be told.
func (s *sources) publisher(nodes []capf.Node) string {
	names := []string{PreferPublisher}
	for _, node := range nodes {
		if node.Publisher {
			names = append(names, node.Name)
		}
	}
	for _, name := range names {
		for _, opened := range s.opened {
			if strings.EqualFold(opened.Name, name) {
				return opened.Name
			}
		}
	}
	found := ""
	for _, opened := range s.opened {
		if len(opened.Of(source.CAPFCertificate)) == 0 {
			continue
		}
		if found != "" {
			return ""
		}
		found = opened.Name
	}
	return found
}

// checkPublisher refuses the choice `publisher` where nobody knows which source that is.
func (s *sources) checkPublisher(publisher string) error {
	if s.options.Prefer != PreferPublisher || publisher != "" {
		return nil
	}
	return &capf.Error{Code: capf.CodeInvalid,
		Message: "prefer publisher: which source is the publisher cannot be told (no node of that name, not exactly one CAPF.cer)",
		Hint:    "name its source publisher=FOLDER, or prefer a source by its name"}
}

// rows describes the sources for the run.
func (r *reading) rows() []capf.MigrationSource {
	var out []capf.MigrationSource
	for _, m := range r.machines {
		digest := m.Source.Digest()
		var dialects []string
		for _, file := range m.PhoneFiles {
			if d := file.Reading.Dialect; d != nil && !slices.Contains(dialects, d.Name) {
				dialects = append(dialects, d.Name)
			}
		}
		for _, file := range m.Further {
			if !slices.Contains(dialects, file.Reader) {
				dialects = append(dialects, file.Reader)
			}
		}
		out = append(out, capf.MigrationSource{Machine: m.name, Path: absolute(m.Source.Folder),
			Digest: hex.EncodeToString(digest[:]), Dialect: strings.Join(dialects, ", ")})
	}
	return out
}

// absolute gives a path that means the same for a later verification.
func absolute(path string) string {
	if path == "" {
		return ""
	}
	if whole, err := filepath.Abs(path); err == nil {
		return whole
	}
	return path
}

// several gathers independent failures, one of which is a line.
func several() *multierror.Error { return &multierror.Error{ErrorFormat: legacy.OneLine} }

// problemsOf takes gathered failures apart.
func problemsOf(err error) []error {
	var many *multierror.Error
	if errors.As(err, &many) {
		return many.Errors
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

// unavailable marks a failure as one of reading.
func unavailable(err error) error {
	return &capf.Error{Code: capf.CodeUnavailable, Message: "reading the sources", Err: err, Hint: hintSeveral(err)}
}

// hintSeveral is the command for a folder of several machines; empty for another failure.
func hintSeveral(err error) string {
	var several *source.SeveralError
	if !errors.As(err, &several) {
		return ""
	}
	command := "capf migrate plan"
	for _, machine := range several.Machines {
		command += " " + capf.ShellWord(machine.Name+"="+machine.Folder)
	}
	return "run `" + command + "`"
}
