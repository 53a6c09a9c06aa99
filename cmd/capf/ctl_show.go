package main

import (
	"cmp"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/hashicorp/go-multierror"

	"capf/ctl"
	"capf/internal/plain"
	"capf/runtime/ca"
	"capf/runtime/capf"
	"capf/runtime/store/sqlite"
)

// Trust lists that are there: in the store, or in any file.

type ctlShowCommand struct {
	File string `arg:"" optional:"" help:"A list, also of another maker, or the number of a version; default: the newest of the store."`
	ITL  bool   `name:"itl" help:"The ITL of that version."`
}

// Run prints the list, also one that does not verify, and reminds of what is to be done about it.
func (c *ctlShowCommand) Run(app *app) error {
	list, err := readList(app, c.File, c.ITL)
	if err != nil {
		return err
	}
	file, err := ctl.Decode(list.raw)
	if err != nil {
		return unreadable(list, err)
	}
	known, err := knownFor(app, file)
	if err != nil {
		return err
	}
	description, err := ctl.Describe(list.raw, known...)
	if err != nil {
		return unreadable(list, err)
	}
	if app.json {
		err = app.printJSON(description)
	} else {
		err = description.Print(app.stdout)
	}
	if err != nil {
		return err
	}
	return remindOf(app, list, file)
}

// knownFor gives the certificates with which the hash records of a list are compared; none where it has no such record.
func knownFor(app *app, file *ctl.File) ([]*x509.Certificate, error) {
	for i := range file.Records {
		if file.Records[i].IsHash() {
			return knownCertificates(app)
		}
	}
	return nil, nil
}

// knownCertificates gives those of the store: servers, tokens, CAPF, anchors. Without a store none are known.
func knownCertificates(app *app) (known []*x509.Certificate, err error) {
	add := func(der []byte) {
		if certificate := parseStored(der); certificate != nil {
			known = append(known, certificate)
		}
	}
	err = app.withStore(func(store *sqlite.Store) error {
		nodes, err := store.Nodes(app.ctx)
		if err != nil {
			return err
		}
		for _, node := range nodes {
			add(node.Certificate)
			add(node.TVSCertificate)
		}
		tokens, err := store.Tokens(app.ctx)
		if err != nil {
			return err
		}
		for _, token := range tokens {
			add(token.Certificate)
		}
		for _, kind := range []capf.CertificateKind{capf.LSC, capf.MIC} {
			anchors, err := store.Anchors(app.ctx, kind)
			if err != nil {
				return err
			}
			for _, anchor := range anchors {
				add(anchor.DER)
			}
		}
		own, err := ca.Certificates(app.data)
		known = append(known, own...)
		return err
	})
	if capf.HasCode(err, capf.CodeNotActivated) {
		return nil, nil
	}
	return known, err
}

type ctlListCommand struct{}

// Run lists the versions, the newest first, and reminds of what is to be done about that one.
func (c *ctlListCommand) Run(app *app) error {
	return app.withStore(func(store *sqlite.Store) error {
		versions, err := store.CTLVersions(app.ctx)
		if err != nil {
			return err
		}
		list := app.list("version", "origin", "mode", "digest", "signer", "signed-at", "added-at", "distributed-at", "sha256", "itl-sha256")
		for _, one := range versions {
			list.add(one.Version, one.Origin, one.Mode, one.Digest, one.Signer, capf.FormatTime(one.SignedAt),
				capf.FormatTime(one.AddedAt), capf.FormatTime(one.DistributedAt), one.SHA256, one.ITLSHA256)
		}
		if err := list.close(); err != nil || len(versions) == 0 {
			return err
		}
		latest, err := store.LatestCTL(app.ctx)
		if err != nil {
			return err
		}
		file, err := ctl.Decode(latest.File)
		if err != nil {
			return err
		}
		return remindOfVersion(app, store, latest, file)
	})
}

// readableList is a list that a command works on.
type readableList struct {
	raw    []byte
	name   string           // for people
	stored *capf.CTLVersion // nil: it came from a file
	newest bool             // of the store
}

// readList reads a list: a file; a version of the store, where the name is a number and no file; the newest one of the
// store without a name. With itl it is the ITL of that version.
func readList(app *app, name string, itl bool) (readableList, error) {
	version, err := strconv.ParseInt(name, 10, 64)
	if name != "" && (err != nil || fileExists(name)) {
		if itl {
			return readableList{}, &capf.Error{Code: capf.CodeInvalid, Message: "--itl with the file " + name, Hint: "the file says itself what it is: leave --itl out"}
		}
		raw, err := readListFile(name)
		return readableList{raw: raw, name: name}, err
	}
	list := readableList{newest: name == ""}
	err = app.withStore(func(store *sqlite.Store) (err error) {
		var stored capf.CTLVersion
		if list.newest {
			stored, err = store.LatestCTL(app.ctx)
		} else {
			stored, err = store.CTL(app.ctx, version)
		}
		list.stored = &stored
		return err
	})
	if err != nil {
		return readableList{}, err
	}
	list.name, list.raw = fmt.Sprintf("version %d", list.stored.Version), list.stored.File
	if !itl {
		return list, nil
	}
	list.name, list.raw = "the ITL of "+list.name, list.stored.ITL
	if list.raw == nil {
		return readableList{}, &capf.Error{Code: capf.CodeNotFound, Message: fmt.Sprintf("version %d of the trust list has no ITL", list.stored.Version),
			Hint: "`capf ctl build --itl` makes one"}
	}
	return list, nil
}

func fileExists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// readListFile reads at most one byte more than a list may have. Looked at before it is opened: opening a named pipe
// would wait.
func readListFile(path string) ([]byte, error) {
	refuse := func(err error) ([]byte, error) {
		return nil, &capf.Error{Code: capf.CodeInvalid, Message: "trust list " + path, Err: err}
	}
	info, err := os.Stat(path)
	if err != nil {
		return refuse(err)
	}
	if !info.Mode().IsRegular() {
		return refuse(errors.New("it is no regular file"))
	}
	file, err := os.Open(path)
	if err != nil {
		return refuse(err)
	}
	raw, err := io.ReadAll(io.LimitReader(file, ctl.MaxSize+1))
	if err := cmp.Or(err, file.Close()); err != nil {
		return refuse(err)
	}
	if len(raw) > ctl.MaxSize {
		return refuse(errors.New("more than 4 MiB: no trust list is that long"))
	}
	return raw, nil
}

// unreadable is for a list that cannot be decoded.
func unreadable(list readableList, err error) error {
	return &capf.Error{Code: capf.CodeUnavailable, Message: "the trust list " + list.name + " cannot be read", Err: err}
}

// gatherContents gathers what a list is made of: tokens, nodes, and the CAPF certificate under the publisher's
// name, with the next one where there is one. No key is used.
func gatherContents(app *app, store *sqlite.Store, tokens []capf.Token) (ctl.Contents, error) {
	authority, err := app.authority()
	if err != nil {
		return ctl.Contents{}, err
	}
	contents := ctl.Contents{}
	for _, token := range tokens {
		contents.Tokens = append(contents.Tokens, ctl.SAST{Name: token.Name, Certificate: parseStored(token.Certificate)})
	}
	next, err := ca.Next(app.data, app.environment())
	if err != nil && !capf.HasCode(err, capf.CodeNotFound) {
		return ctl.Contents{}, err
	}
	own := []*x509.Certificate{authority.Certificate}
	if next != nil {
		own = append(own, next.Certificate)
	}
	return contents, addServers(app, store, &contents, own)
}

// addServers adds the nodes, and the CAPF certificates under the publisher's name.
func addServers(app *app, store *sqlite.Store, contents *ctl.Contents, own []*x509.Certificate) error {
	nodes, err := store.Nodes(app.ctx)
	if err != nil {
		return err
	}
	for _, node := range nodes {
		role, err := ctl.ParseRole(string(node.Role))
		if err != nil {
			return err
		}
		server := ctl.Server{Name: node.Name, DNSName: node.HostName(), Address: node.Address, Role: role, Certificate: parseStored(node.Certificate)}
		contents.Servers = append(contents.Servers, server)
		if !node.Publisher {
			continue
		}
		for _, certificate := range own {
			server.Certificate = certificate
			contents.CAPF = append(contents.CAPF, server)
		}
	}
	if len(contents.CAPF) == 0 {
		return &capf.Error{Code: capf.CodeRefused, Message: "no node is the publisher, on which CAPF runs",
			Hint: "add it with `capf node add NAME --publisher`"}
	}
	return nil
}

type ctlDiffCommand struct {
	From string `arg:"" name:"A" help:"A list, or the number of a version."`
	To   string `arg:"" name:"B" help:"Another one."`
	ITL  bool   `name:"itl" help:"The ITLs of two versions."`
}

// Run compares two lists, of any maker.
func (c *ctlDiffCommand) Run(app *app) error {
	from, err := readList(app, c.From, c.ITL)
	if err != nil {
		return err
	}
	to, err := readList(app, c.To, c.ITL)
	if err != nil {
		return err
	}
	difference, err := ctl.Compare(from.raw, to.raw)
	if err != nil {
		return &capf.Error{Code: capf.CodeUnavailable, Message: "compare " + from.name + " with " + to.name, Err: err}
	}
	if app.json {
		return app.printJSON(difference)
	}
	return difference.Print(app.stdout, plain.Line(from.name), plain.Line(to.name))
}

type ctlVerifyCommand struct {
	File     string `arg:"" optional:"" help:"A list, or the number of a version; default: the newest of the store."`
	ITL      bool   `name:"itl" help:"The ITL of that version."`
	Previous string `help:"A list that phones hold, or the number of a version: would they take this one?" placeholder:"FILE"`
}

// Run checks the list, and whether it succeeds another. It says everything that is wrong, with the byte where it is,
// and who signed.
func (c *ctlVerifyCommand) Run(app *app) error {
	list, err := readList(app, c.File, c.ITL)
	if err != nil {
		return err
	}
	var previous readableList
	if c.Previous != "" {
		if previous, err = c.readPrevious(app); err != nil {
			return err
		}
	}
	verdict := &listVerdict{Faults: []listFault{}}
	problems := verdict.judge(list)
	if c.Previous != "" {
		problems = append(problems, verdict.judgeSuccession(list, previous)...)
	}
	if err := verdict.print(app); err != nil {
		return err
	}
	if verdict.file != nil {
		if err := remindOf(app, list, verdict.file); err != nil {
			return err
		}
	}
	return problems.orNil()
}

// readPrevious takes a version's ITL where the new list is one.
func (c *ctlVerifyCommand) readPrevious(app *app) (readableList, error) {
	return readList(app, c.Previous, c.ITL && !fileExists(c.Previous))
}

// listVerdict is what is printed.
type listVerdict struct {
	Valid     bool        `json:"valid"`
	Signer    string      `json:"signer"` // as the list names it; who it was only where the signature verifies
	Serial    string      `json:"signer-serial"`
	Signed    bool        `json:"signature-verified"` // by that signer, as the list itself has it
	Digest    string      `json:"digest"`
	KeySize   int         `json:"key-size"`
	SignedAt  string      `json:"signed-at"`
	FileName  string      `json:"file-name"`
	Records   int         `json:"records"`
	Successor *bool       `json:"successor,omitempty"` // of the previous list, if one was given
	Faults    []listFault `json:"faults"`
	file      *ctl.File   // nil: cannot be decoded
}

type listFault struct {
	Position *int   `json:"position,omitempty"` // byte in the file, from 0
	Problem  string `json:"problem"`
}

// listProblems are independent of each other.
type listProblems []error

func (p listProblems) orNil() error {
	var problems *multierror.Error
	return multierror.Append(problems, p...).ErrorOrNil()
}

func (v *listVerdict) fault(err error) {
	fault := listFault{Problem: err.Error()}
	if position, ok := ctl.PositionOf(err); ok {
		fault.Position = &position
	}
	v.Faults = append(v.Faults, fault)
}

func (v *listVerdict) judge(list readableList) listProblems {
	inspection, err := ctl.Inspect(list.raw)
	if err != nil {
		v.fault(err)
		return listProblems{&capf.Error{Code: capf.CodeRefused, Message: "the trust list " + list.name + " cannot be read", Err: err}}
	}
	v.file = inspection.File
	header := &v.file.Header
	v.Valid, v.Signer, v.Serial, v.Digest = len(inspection.Faults) == 0, header.Signer.Subject, hex.EncodeToString(header.Signer.Serial), header.Digest.String()
	v.KeySize, v.SignedAt, v.FileName, v.Records = header.Modulus.Bits(), capf.FormatTime(header.Timestamp), header.FileName, len(v.file.Records)
	v.Signed = inspection.SAST != nil
	var problems listProblems
	for _, fault := range inspection.Faults {
		v.fault(fault)
		problems = append(problems, &capf.Error{Code: capf.CodeRefused, Message: "the trust list " + list.name + " does not verify", Err: fault})
	}
	return problems
}

// judgeSuccession asks whether a phone with the previous list takes this one.
func (v *listVerdict) judgeSuccession(list, previous readableList) listProblems {
	err := ctl.VerifySuccession(list.raw, previous.raw)
	takes := err == nil
	v.Successor = &takes
	if takes || v.file == nil && !errors.Is(err, ctl.ErrNotSuccessor) { // that it cannot be read was said
		return nil
	}
	problem := &capf.Error{Code: capf.CodeRefused, Message: "phones that hold " + previous.name + " would not take " + list.name, Err: ctl.Cause(err),
		Hint: "sign with a token of that list"}
	switch {
	case errors.Is(err, ctl.ErrOlder):
		problem.Hint = "build it anew; see that the clock of this machine is right"
	case errors.Is(err, ctl.ErrOtherKind):
		problem.Hint = "compare with the list of the same kind"
	case !errors.Is(err, ctl.ErrNotSuccessor):
		problem.Hint = "give the list as phones hold it"
	}
	return listProblems{problem}
}

func (v *listVerdict) print(app *app) error {
	if app.json {
		return app.printJSON(v)
	}
	names := []string{"valid", "signer", "signer-serial", "signature-verified", "digest", "key-size", "signed-at", "file-name", "records"}
	values := []any{v.Valid, v.Signer, v.Serial, v.Signed, v.Digest, v.KeySize, v.SignedAt, v.FileName, v.Records}
	if v.file == nil {
		names, values = names[:1], values[:1]
	}
	if v.Successor != nil {
		names, values = append(names, "successor"), append(values, *v.Successor)
	}
	return app.fields(names, values)
}
