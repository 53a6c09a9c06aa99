package capf

import (
	"errors"
	"strings"
)

// Code says what kind of failure an Error is. What follows from it (exit status, HTTP status, the reason
// that a phone is told) stands in one table, in this file.
type Code string

// The kinds of failure.
const (
	CodeInvalid        Code = "invalid"        // wrong usage or configuration: a value that cannot be
	CodeNotFound       Code = "not-found"      // what was named is not in the store
	CodeUnknownDevice  Code = "unknown-device" // a phone calls that the store does not know
	CodeNoOperation    Code = "no-operation"   // a phone calls for which nothing is pending
	CodeAuthentication Code = "authentication" // a phone could not prove that it is the one
	CodeRefused        Code = "refused"        // a rule forbids it
	CodeConflict       Code = "conflict"       // two things that cannot both be
	CodeSuperseded     Code = "superseded"     // the operation was replaced, withdrawn or ended meanwhile
	CodePeer           Code = "peer"           // the other side broke the protocol or the line
	CodeBusy           Code = "busy"           // somebody else holds it; it may work later
	CodeUnavailable    Code = "unavailable"    // a file, a disk or a machine that should be there is not
	CodeNotActivated   Code = "not-activated"  // there is no CAPF identity yet
	CodePart           Code = "part"           // done, but not all of it
	CodeInternal       Code = "internal"       // everything else
)

// Codes are all of them.
var Codes = []Code{CodeInvalid, CodeNotFound, CodeUnknownDevice, CodeNoOperation, CodeAuthentication, CodeRefused, CodeConflict,
	CodeSuperseded, CodePeer, CodeBusy, CodeUnavailable, CodeNotActivated, CodePart, CodeInternal}

// Consequence is what follows from a Code for those who are told of it.
type Consequence struct {
	Exit   int  // exit status of the command
	HTTP   int  // status of a page or of REST
	Reason byte // element 1 of the "end session" message
}

var consequences = map[Code]Consequence{
	CodeInvalid:        {Exit: 2, HTTP: 400, Reason: 7},
	CodeNotFound:       {Exit: 1, HTTP: 404, Reason: 7},
	CodeUnknownDevice:  {Exit: 1, HTTP: 404, Reason: 9},
	CodeNoOperation:    {Exit: 1, HTTP: 409, Reason: 0},
	CodeAuthentication: {Exit: 1, HTTP: 401, Reason: 7},
	CodeRefused:        {Exit: 1, HTTP: 422, Reason: 7},
	CodeConflict:       {Exit: 1, HTTP: 409, Reason: 7},
	CodeSuperseded:     {Exit: 1, HTTP: 409, Reason: 7},
	CodePeer:           {Exit: 1, HTTP: 502, Reason: 7},
	CodeBusy:           {Exit: 1, HTTP: 503, Reason: 7},
	CodeUnavailable:    {Exit: 1, HTTP: 503, Reason: 7},
	CodeNotActivated:   {Exit: 2, HTTP: 503, Reason: 7},
	CodePart:           {Exit: 3, HTTP: 500, Reason: 7},
	CodeInternal:       {Exit: 1, HTTP: 500, Reason: 7},
}

// Error is a failure that a person can act on: what failed and where, and what to do about it.
type Error struct {
	Code    Code
	Message string // what failed, and where
	Hint    string // the way out; may be empty
	Err     error  // the cause; may be nil
}

// Error gives the failure in one line. The cause stands between what failed and what to do.
func (e *Error) Error() string {
	var line strings.Builder
	line.WriteString(e.Message)
	if e.Err != nil {
		line.WriteString(": " + e.Err.Error())
	}
	if e.Hint != "" {
		line.WriteString("; " + e.Hint)
	}
	return line.String()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf gives the code of the outermost Error in err, CodeInternal where there is none.
func CodeOf(err error) Code {
	var known *Error
	if errors.As(err, &known) {
		return known.Code
	}
	return CodeInternal
}

// ConsequenceOf says what follows from err; it must not be nil.
func ConsequenceOf(err error) Consequence { return consequences[CodeOf(err)] }

// HasCode reports whether err is a failure of that kind.
func HasCode(err error, code Code) bool { return err != nil && CodeOf(err) == code }
