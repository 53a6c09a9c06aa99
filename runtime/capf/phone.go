// Package capf holds the domain of the Certificate Authority Proxy Function: phones, their certificate
// operations, the certificates, the cluster and its parameters, with every rule about what may be set and
// what follows from it. Commands, pages, sessions and stores all ask here, so that a rule stands once.
//
// Its facts come from the CAPF chapter of the Cisco CallManager Security Guide 4.1(3); rules are cited by
// the row of our reference (A1 to H). The package imports the standard library, and internal/plain, which does no more.
package capf

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"time"
)

// Phone is a device as the store knows it at one moment: its settings (B1 to B5), its pending operation,
// and what is known of its certificates.
type Phone struct {
	Device       string
	Description  string
	AuthMode     AuthMode
	AuthString   AuthenticationString // zero where there is none, or its operation has ended
	KeySize      KeySize
	SecurityMode SecurityMode
	LSCHash      SignatureHash // of the signature of LSCs that are issued to it

	// Last is the newest operation, pending or ended; nil for a phone that never had one.
	Last *OperationRecord

	// LSC is the newest LSC that the phone confirmed and that is not revoked; nil where none is known.
	LSC *Certificate
	// LSCKnown tells what is known of LSCs apart from dates: unknown, none or installed.
	LSCKnown LSCStatus
	MIC      MICStatus

	LastSession time.Time // start of the last session that authenticated; zero for never
	LastResult  *Result   // last outcome or attempt; nil for none
	LastAttempt time.Time // when that attempt was; zero where the result is that of an outcome
	LastAddress string    // of the last session
	LastTLS     string    // its TLS version, as `1.0`
}

// OperationRef is the identity of an operation. The revision grows when its settings are changed while it
// is pending, so that a session which began with the old ones can tell.
type OperationRef struct {
	ID       int64
	Revision int64
}

// OperationRecord is one operation of a phone with what came of it. It never holds the authentication
// string.
type OperationRecord struct {
	Ref         OperationRef
	Device      string
	Operation   Operation
	AuthMode    AuthMode
	KeySize     KeySize
	CompletesBy time.Time
	CreatedAt   time.Time
	CreatedBy   string
	EndedAt     time.Time // zero while it is pending
	EndedBy     string
	Ending      Ending
	Result      *Result
	Detail      string // why, for a person

	// Serving is the instance of the service whose session carries it out; empty for none.
	Serving string

	// Session is the last one that began it. Only the history of a device's operations has it; nil for none.
	Session *OperationSession
}

// OperationSession is a session in which a phone had authenticated.
type OperationSession struct {
	Started time.Time
	Address string
	TLS     string // version, as `1.0`
}

// Ending says how an operation ended.
type Ending string

// The ways in which an operation ends.
const (
	EndingNone      Ending = "" // it has not
	EndingSuccess   Ending = "success"
	EndingFailed    Ending = "failed"
	EndingExpired   Ending = "expired"
	EndingReplaced  Ending = "replaced"
	EndingWithdrawn Ending = "withdrawn"
)

// IsPending reports whether the operation can be carried out at that time.
func (r *OperationRecord) IsPending(now time.Time) bool {
	return r != nil && r.Ending == EndingNone && !r.isPast(now)
}

// isPast reports whether the deadline has passed. The whole second of the deadline still counts.
func (r *OperationRecord) isPast(now time.Time) bool {
	return !r.CompletesBy.IsZero() && now.Truncate(time.Second).After(r.CompletesBy)
}

// isServed reports whether a session of the living service carries the operation out.
func (r *OperationRecord) isServed(living string) bool { return r.Serving != "" && r.Serving == living }

// At gives the operation as it reads at that moment. One whose deadline has passed has expired then, also before the
// service has written that down; its end is the deadline. One that a session of the living service carries out has not
// ended: the session can still bring it to success.
func (r *OperationRecord) At(at Moment) OperationRecord {
	read := *r
	if r.Ending != EndingNone || !r.isPast(at.Now) || r.isServed(at.Living) {
		return read
	}
	read.expire(r.CompletesBy)
	return read
}

// expire writes down that nobody completed it in time.
func (r *OperationRecord) expire(when time.Time) {
	late := ResultTimedOut
	r.Ending, r.EndedAt, r.EndedBy, r.Detail, r.Serving, r.Result = EndingExpired, when, "deadline", "not completed in time", "", &late
}

// Status gives the status at that time. A session counts only where its instance is the one that lives.
func (r *OperationRecord) Status(now time.Time, living string) Status {
	switch {
	case r == nil || r.Ending == EndingWithdrawn || r.Ending == EndingReplaced:
		return StatusNone
	case r.Ending == EndingSuccess:
		return StatusSuccess
	case r.Ending == EndingFailed:
		return StatusFailed
	case r.Ending == EndingExpired:
		return StatusExpired
	case r.isPast(now):
		return StatusExpired // also while a session carries it out, which can still bring it to success
	case r.isServed(living):
		return StatusInProgress
	}
	return StatusPending
}

// StatusText gives the words of CallManager 4.x (B6).
func (r *OperationRecord) StatusText(now time.Time, living string) string {
	word := map[Operation]string{OperationInstall: "Upgrade", OperationDelete: "Delete", OperationTroubleshoot: "Troubleshoot"}
	switch r.Status(now, living) {
	case StatusPending, StatusInProgress:
		return "Operation Pending"
	case StatusSuccess:
		return word[r.Operation] + " Success"
	case StatusFailed, StatusExpired:
		return word[r.Operation] + " Failed"
	}
	return "None"
}

// PendingOperation gives the operation that is set at that time: none where the last one has ended.
func (p *Phone) PendingOperation(now time.Time) Operation {
	if p.Last.IsPending(now) {
		return p.Last.Operation
	}
	return OperationNone
}

// LSCStatus gives what is known of the LSC at that time.
func (p *Phone) LSCStatus(now time.Time) LSCStatus {
	if p.LSCKnown == LSCInstalled && p.LSC != nil && now.After(p.LSC.NotAfter) {
		return LSCExpired
	}
	return p.LSCKnown
}

// CurrentString gives the authentication string at that time: none once its operation has expired.
func (p *Phone) CurrentString(now time.Time) AuthenticationString {
	if p.Last != nil && p.Last.Ending == EndingNone && p.Last.isPast(now) {
		return AuthenticationString{}
	}
	return p.AuthString
}

// ResultAt gives the number of the last outcome or attempt; an operation that nobody completed in time
// reads as timed out, unless somebody has tried since.
func (p *Phone) ResultAt(now time.Time) *Result {
	if p.Last != nil && p.Last.Ending == EndingNone && p.Last.isPast(now) && !p.Last.isPast(p.LastAttempt) {
		late := ResultTimedOut
		return &late
	}
	return p.LastResult
}

// ReportColumns are the columns of the CAPF report (G3), in order.
var ReportColumns = []string{
	"device", "description", "operation", "status", "status-text", "auth-mode", "auth-string", "key-size",
	"completes-by", "security-mode", "lsc-status", "lsc-serial", "lsc-issuer", "lsc-not-after", "mic-status",
	"last-session", "result", "tls",
}

// Moment is when, and by the eyes of which living service, the state of a phone is read.
type Moment struct {
	Now    time.Time
	Living string // instance of the service that runs; empty for none
}

// ReportRow gives a phone as a row under ReportColumns. It holds the authentication string in the clear:
// the report is where the administrator finds it.
func (p *Phone) ReportRow(at Moment) []string {
	lsc := p.LSC
	if lsc == nil {
		lsc = &Certificate{}
	}
	return []string{
		p.Device, p.Description, string(p.PendingOperation(at.Now)), string(p.Last.Status(at.Now, at.Living)),
		p.Last.StatusText(at.Now, at.Living), string(p.AuthMode), p.CurrentString(at.Now).Reveal(), string(p.KeySize),
		FormatTime(p.Deadline(at.Now)), string(p.SecurityMode), string(p.LSCStatus(at.Now)), lsc.Serial, lsc.Issuer,
		FormatTime(lsc.NotAfter), string(p.MIC), FormatTime(p.LastSession), formatResult(p.ResultAt(at.Now)), p.LastTLS,
	}
}

// Deadline gives when the pending operation must be complete; zero where none is pending.
func (p *Phone) Deadline(now time.Time) time.Time {
	if !p.Last.IsPending(now) {
		return time.Time{}
	}
	return p.Last.CompletesBy
}

func formatResult(result *Result) string {
	if result == nil {
		return ""
	}
	return strconv.Itoa(int(*result))
}

// ReportWriter writes the CAPF report as CSV, row by row.
type ReportWriter struct{ csv *csv.Writer }

// NewReportWriter writes the header line.
func NewReportWriter(w io.Writer) (*ReportWriter, error) {
	report := &ReportWriter{csv: csv.NewWriter(w)}
	return report, report.write(ReportColumns)
}

// Write adds a phone. Text that a spreadsheet would run as a formula gets a leading quote.
func (r *ReportWriter) Write(phone *Phone, at Moment) error {
	row := phone.ReportRow(at)
	for i := range row {
		row[i] = guardFormula(row[i])
	}
	return r.write(row)
}

func (r *ReportWriter) write(row []string) error {
	if err := r.csv.Write(row); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// Close writes out what is buffered.
func (r *ReportWriter) Close() error {
	r.csv.Flush()
	if err := r.csv.Error(); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}
