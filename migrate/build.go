package migrate

import (
	"io"
	"time"

	"capf/runtime/capf"
)

// builder makes phones of records.
type builder struct {
	now        time.Time
	parameters capf.Parameters // as they are after the run
	random     io.Reader
}

// phone makes a phone of the record that it is taken from. What the file does not say is as for a new phone; what it
// cannot say (security mode, certificates, sessions) is as the store has it. The rules of the domain hold: its error
// names the one that is broken.
func (b builder) phone(r *record) (capf.Phone, error) {
	phone := capf.NewPhone(r.device, b.parameters)
	description := r.description
	if r.settled != nil {
		had := r.settled.phone
		phone.SecurityMode, phone.LSC, phone.LSCKnown, phone.MIC = had.SecurityMode, had.LSC, had.LSCKnown, had.MIC
		phone.LastSession, phone.LastAddress, phone.LastTLS = had.LastSession, had.LastAddress, had.LastTLS
		if description == "" {
			description = storable(had.Description) // of before the rule was what it is
		}
	}
	change := capf.PhoneChange{Device: r.device, Description: &description}
	if r.mode != "" {
		change.AuthMode = &r.mode
	}
	if r.keySize != "" {
		change.KeySize = &r.keySize
	}
	if r.status == capf.StatusPending {
		change.Operation = &r.operation
		if !r.secret.IsZero() {
			change.AuthString = &r.secret
		}
	}
	changed, err := change.Apply(phone, capf.ChangeContext{
		Now: b.now, Actor: "migration from " + r.machine, Parameters: b.parameters, Random: b.random})
	if err != nil {
		return capf.Phone{}, err
	}
	phone = changed.Phone
	if r.status == capf.StatusSuccess || r.status == capf.StatusFailed {
		phone.Last = b.ended(r, phone)
		phone.LastResult = phone.Last.Result
	}
	return phone, nil
}

// try gives the error that making the phone would.
func (b builder) try(r *record) error {
	b.random = zeros{}
	_, err := b.phone(r)
	return err
}

// zeros stands for randomness where what comes of it is thrown away.
type zeros struct{}

func (zeros) Read(into []byte) (int, error) {
	clear(into)
	return len(into), nil
}

// ended is the operation whose outcome the record has. When it ended is known only where its time has a zone; else the
// detail has the time as the file says it.
func (b builder) ended(r *record, phone capf.Phone) *capf.OperationRecord {
	ending, result := capf.EndingSuccess, capf.ResultSuccess
	if r.status == capf.StatusFailed {
		ending, result = capf.EndingFailed, capf.ResultFailed
	}
	out := &capf.OperationRecord{
		Device: r.device, Operation: r.operation, AuthMode: phone.AuthMode, KeySize: phone.KeySize,
		CreatedAt: b.now, CreatedBy: "migration from " + r.machine, EndedBy: "CAPF on " + r.machine,
		Ending: ending, Result: &result,
	}
	switch {
	case r.time.IsZero():
		out.Detail = "the file says no time"
	case r.time.Absolute:
		out.CreatedAt, out.EndedAt = r.time.Clock, r.time.Clock
		out.Detail = "at " + r.time.String()
	default:
		out.Detail = "at " + r.time.String() + " by the clock of " + r.machine
	}
	return out
}
