package capf

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"time"
)

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
