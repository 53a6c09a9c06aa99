package main

import (
	"encoding/hex"
	"errors"

	"github.com/hashicorp/go-multierror"

	"capf/ctl"
	"capf/runtime/capf"
)

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
