package capf

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"capf/internal/plain"
)

// PhoneChange is what an administrator asks of one phone; nil leaves a value alone.
type PhoneChange struct {
	Device         string
	Operation      *Operation
	AuthMode       *AuthMode
	AuthString     *AuthenticationString
	GenerateString bool // instead of AuthString
	KeySize        *KeySize
	CompletesBy    *time.Time
	SecurityMode   *SecurityMode
	LSCHash        *SignatureHash
	Description    *string

	// OnlyIf leaves a phone alone of which it says no; nil is always yes. It may be asked several times.
	OnlyIf func(phone *Phone) bool
}

// ChangeContext is what a change needs beside the phone.
type ChangeContext struct {
	Now        time.Time
	Living     string // instance of the service that runs; empty for none
	Actor      string // who asks, for the history
	Parameters Parameters
	Random     io.Reader // for generated strings
}

// Effect says what a change does to the phone's operation.
type Effect string

// The effects on an operation. Amended: it goes on under its identity with a new revision, so that a
// session which began under the old settings issues nothing.
const (
	EffectNone      Effect = "none"
	EffectNew       Effect = "new"
	EffectReplaced  Effect = "replaced"
	EffectAmended   Effect = "amended"
	EffectWithdrawn Effect = "withdrawn"
)

// Changed is the outcome of a change.
type Changed struct {
	Phone    Phone
	Effect   Effect
	Ended    *OperationRecord // the operation before, where the change (or its deadline) ended it
	Warnings []string         // for the administrator
}

const maxDescription = 128

// NewPhone gives a phone with the values that a new one has.
func NewPhone(device string, parameters Parameters) Phone {
	return Phone{Device: device, AuthMode: AuthByString, KeySize: parameters.KeySize(), SecurityMode: NonSecure, LSCHash: HashSHA256,
		LSCKnown: LSCUnknown, MIC: MICUnknown}
}

// Apply gives the phone as it is after the change, or says which rule forbids it. The phone itself is
// left alone. An operation that is named always begins anew, under a new identity; other settings of a
// pending one amend it.
func (c PhoneChange) Apply(phone Phone, context ChangeContext) (Changed, error) {
	changed := Changed{Phone: phone, Effect: EffectNone}
	p := &changed.Phone
	changed.Ended = p.Expire(context.Now, context.Living)
	pending := p.Last != nil && p.Last.Ending == EndingNone
	before := *p
	if c.OnlyIf != nil {
		// A copy: what is handed to a function that nobody knows is moved to the heap, for every change of many.
		asked := *p
		if !c.OnlyIf(&asked) {
			return Changed{Phone: phone, Effect: EffectNone}, nil
		}
	}

	if err := c.applySettings(p); err != nil {
		return Changed{}, c.refuse(err)
	}
	changed.Effect = c.effect(before, *p, pending)
	if changed.Effect == EffectReplaced {
		changed.Ended = p.end(EndingReplaced, context.Now, context.Actor, "")
	}
	if changed.Effect == EffectWithdrawn {
		changed.Ended = p.end(EndingWithdrawn, context.Now, context.Actor, "")
	}
	if err := c.applyString(p, changed.Effect, context); err != nil {
		return Changed{}, c.refuse(err)
	}
	if err := c.applyOperation(p, before, changed.Effect, context); err != nil {
		return Changed{}, c.refuse(err)
	}
	if err := p.checkRules(context.Now); err != nil {
		return Changed{}, c.refuse(err)
	}
	changed.Warnings = c.warnings(p)
	return changed, nil
}

// refuse names the phone in an error of a rule.
func (c PhoneChange) refuse(err error) error {
	if known, ok := err.(*Error); ok {
		named := *known
		named.Message = c.Device + ": " + named.Message
		return &named
	}
	return fmt.Errorf("%s: %w", c.Device, err)
}

// Expire ends an operation whose deadline has passed, so that what follows sees it as ended, and gives
// it; nil where there is none. One that a session of the living service carries out is left to it: the
// phone may hold its certificate already.
func (p *Phone) Expire(now time.Time, living string) *OperationRecord {
	if p.Last == nil || p.Last.Ending != EndingNone || !p.Last.isPast(now) || p.Last.isServed(living) {
		return nil
	}
	ended := p.end(EndingExpired, now, "", "")
	ended.expire(now)
	if !ended.isPast(p.LastAttempt) {
		late := *ended.Result
		p.LastResult, p.LastAttempt = &late, time.Time{}
	}
	return ended
}

// Withdraw ends the operation of a phone that is to be removed, and gives it; nil where there is none.
func (p *Phone) Withdraw(now time.Time, by string) *OperationRecord {
	if expired := p.Expire(now, ""); expired != nil || p.Last == nil || p.Last.Ending != EndingNone {
		return expired
	}
	return p.end(EndingWithdrawn, now, by, "")
}

// end closes the operation in a record of its own, which it gives, and voids the string with it.
func (p *Phone) end(ending Ending, now time.Time, by, detail string) *OperationRecord {
	record := *p.Last
	record.Ending, record.EndedAt, record.EndedBy, record.Detail, record.Serving = ending, now, by, detail, ""
	p.Last = &record
	p.AuthString = AuthenticationString{}
	return p.Last
}

func (c PhoneChange) applySettings(p *Phone) error {
	if c.Description != nil {
		if len(*c.Description) > maxDescription || !utf8.ValidString(*c.Description) || strings.ContainsFunc(*c.Description, plain.IsControl) {
			return &Error{Code: CodeInvalid, Message: "description",
				Hint: fmt.Sprintf("use at most %d bytes of UTF-8, none of them a control character", maxDescription)}
		}
		p.Description = *c.Description
	}
	if c.AuthMode != nil {
		p.AuthMode = *c.AuthMode
	}
	if c.KeySize != nil {
		p.KeySize = *c.KeySize
	}
	if c.SecurityMode != nil {
		p.SecurityMode = *c.SecurityMode
	}
	if c.LSCHash != nil {
		p.LSCHash = *c.LSCHash
	}
	return nil
}

// effect decides what becomes of the operation.
func (c PhoneChange) effect(before, after Phone, pending bool) Effect {
	switch {
	case c.Operation != nil && *c.Operation == OperationNone:
		if pending {
			return EffectWithdrawn
		}
		return EffectNone
	case c.Operation != nil && pending:
		return EffectReplaced
	case c.Operation != nil:
		return EffectNew
	case pending && (before.AuthMode != after.AuthMode || before.KeySize != after.KeySize || before.LSCHash != after.LSCHash ||
		c.AuthString != nil || c.GenerateString || c.CompletesBy != nil):
		return EffectAmended
	}
	return EffectNone
}

// applyString sets the authentication string. It belongs to one operation: a replaced or withdrawn one
// takes it along, and a new one by string gets one in any case.
func (c PhoneChange) applyString(p *Phone, effect Effect, context ChangeContext) error {
	given := c.AuthString != nil || c.GenerateString
	if given && p.AuthMode != AuthByString {
		return &Error{Code: CodeInvalid, Message: fmt.Sprintf("an authentication string with the mode %s", p.AuthMode),
			Hint: fmt.Sprintf("set the mode to %s, or leave the string out", AuthByString)}
	}
	if p.AuthMode != AuthByString {
		p.AuthString = AuthenticationString{}
	}
	if c.AuthString != nil {
		p.AuthString = *c.AuthString
		return nil
	}
	operates := effect == EffectNew || effect == EffectReplaced || effect == EffectAmended
	if !c.GenerateString && (!operates || p.AuthMode != AuthByString || !p.AuthString.IsZero()) {
		return nil
	}
	generated, err := GenerateAuthenticationString(context.Random)
	p.AuthString = generated
	return err
}

// applyOperation begins or amends the operation. A later deadline alone does not disturb a session.
func (c PhoneChange) applyOperation(p *Phone, before Phone, effect Effect, context ChangeContext) error {
	if c.CompletesBy != nil && !c.CompletesBy.After(context.Now) {
		return &Error{Code: CodeInvalid, Message: "completes-by " + FormatTime(*c.CompletesBy) + " has passed",
			Hint: "give a time to come; the clock here says " + FormatTime(context.Now)}
	}
	switch effect {
	case EffectNone, EffectWithdrawn:
		if c.CompletesBy != nil {
			return &Error{Code: CodeInvalid, Message: "completes-by without a pending operation", Hint: "set an operation with it"}
		}
	case EffectAmended:
		p.Last = c.amend(*p.Last, before, *p)
	case EffectNew, EffectReplaced:
		p.Last = &OperationRecord{Device: p.Device, Operation: *c.Operation, AuthMode: p.AuthMode, KeySize: p.KeySize,
			CompletesBy: c.deadline(context.Parameters.OperationDeadline(context.Now)),
			CreatedAt:   context.Now, CreatedBy: context.Actor}
	}
	return nil
}

func (c PhoneChange) amend(record OperationRecord, before, after Phone) *OperationRecord {
	record.CompletesBy = c.deadline(record.CompletesBy)
	if before.AuthMode != after.AuthMode || before.KeySize != after.KeySize || before.LSCHash != after.LSCHash || !before.AuthString.Same(after.AuthString) {
		record.AuthMode, record.KeySize = after.AuthMode, after.KeySize
		record.Ref.Revision++
		record.Serving = ""
	}
	return &record
}

func (c PhoneChange) deadline(otherwise time.Time) time.Time {
	if c.CompletesBy != nil {
		return *c.CompletesBy
	}
	return otherwise
}

// checkRules holds the rules under B of the guide against the phone as it would be.
func (p *Phone) checkRules(now time.Time) error {
	if p.SecurityMode.IsSecure() && p.AuthMode == AuthByString {
		return &Error{Code: CodeRefused,
			Message: fmt.Sprintf("%s and %s cannot go together: in that security mode the phone does not register before its CAPF session is over, so nobody can enter a string", p.SecurityMode, p.AuthMode),
			Hint:    fmt.Sprintf("choose another authentication mode (%s, %s, %s) or %s", AuthByNullString, AuthByLSC, AuthByMIC, NonSecure)}
	}
	switch p.PendingOperation(now) {
	case OperationDelete:
		return p.checkDelete(now)
	case OperationTroubleshoot:
		if p.LSCStatus(now) == LSCNone && p.MIC == MICNone {
			return &Error{Code: CodeRefused, Message: "nothing to troubleshoot: the phone has neither LSC nor MIC", Hint: "install an LSC"}
		}
	}
	return nil
}

func (p *Phone) checkDelete(now time.Time) error {
	if p.LSCStatus(now) == LSCNone {
		return &Error{Code: CodeRefused, Message: "nothing to delete: the phone has no LSC", Hint: "install one, or troubleshoot to see what is there"}
	}
	if p.SecurityMode.IsSecure() && p.MIC != MICPresent {
		return &Error{Code: CodeRefused,
			Message: fmt.Sprintf("deleting the LSC of a phone in %s mode that is not known to have a MIC: it could never register again", p.SecurityMode),
			Hint:    "set its security mode to " + string(NonSecure) + " first"}
	}
	return nil
}

// warnings says what the administrator should know about values that are allowed.
func (c PhoneChange) warnings(p *Phone) []string {
	var warnings []string
	if c.AuthString != nil && len(c.AuthString.Reveal()) < ShortAuthString {
		warnings = append(warnings, fmt.Sprintf("%s: a string of fewer than %d digits can be found by trying; `generate` makes one of %d",
			c.Device, ShortAuthString, generatedAuthString))
	}
	if c.KeySize != nil && p.KeySize.Bits() >= 2048 {
		warnings = append(warnings, c.Device+": "+string(p.KeySize)+
			"-bit keys make a phone start and fail over slowly (60 s and more), and a 7940 or 7960 can take more than 30 minutes to make one")
	}
	if c.Operation != nil && *c.Operation != OperationNone && p.AuthMode == AuthByNullString {
		warnings = append(warnings, c.Device+": the null string is no authentication: for closed environments only")
	}
	return warnings
}
