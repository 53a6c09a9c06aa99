package sqlite

import (
	"context"
	"database/sql"
	"strings"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// Phones as they are read: one, all, and in numbers.

// phoneColumns and what they are selected from read a phone with its newest operation, its LSC and the
// newest attempt since its last outcome, each by a key.
const phoneColumns = `p.device, p.description, p.auth_mode, p.auth_string, p.key_size, p.security_mode,
	p.lsc_known, p.mic, p.last_session, p.last_address, p.last_tls, p.lsc_hash, p.result, p.changes,
	a.result, a.at, p.last_operation, p.lsc, o.revision, o.operation, o.auth_mode, o.key_size, o.completes_by, o.created_at, o.created_by,
	o.ended_at, o.ended_by, o.ending, o.result, o.detail, o.serving,
	c.state, c.source, c.serial, c.subject, c.issuer, c.not_before, c.not_after, c.der, c.sha256, c.key_sha256,
	c.operation, c.recorded_at, c.confirmed_at`

const phoneTables = ` FROM phones p LEFT JOIN operations o ON o.id = p.last_operation LEFT JOIN certificates c ON c.id = p.lsc
	LEFT JOIN attempts a ON a.id = (SELECT max(n.id) FROM attempts n WHERE n.device = p.device AND n.id > p.result_mark)`

const selectPhone = `SELECT ` + phoneColumns + phoneTables + ` WHERE p.device = +?1`

// phoneRow is a phone as it stands in the store.
type phoneRow struct {
	capf.Phone
	changes int64
}

// Phone gives a phone, with CodeNotFound where there is none.
func (s *Store) Phone(ctx context.Context, device string) (capf.Phone, error) {
	if err := ctx.Err(); err != nil {
		return capf.Phone{}, err
	}
	row, found, err := readPhone(s.reads, device)
	if err == nil && !found {
		err = noPhone(device)
	}
	return row.Phone, err
}

func noPhone(device string) error {
	return &capf.Error{Code: capf.CodeNotFound, Message: "phone " + device + " is not in the store",
		Hint: "see `capf phone list`, or add it"}
}

func readPhone(statements *store.Statements, device string) (row phoneRow, found bool, err error) {
	found, err = statements.First(func(cursor store.Scanner) (err error) {
		row, err = scanPhone(cursor)
		return err
	}, selectPhone, device)
	return row, found, err
}

// operationColumns takes an operation that may be missing.
type operationColumns struct {
	id, revision                               sql.NullInt64
	operation, authMode, keySize               sql.NullString
	completesBy, createdAt, endedAt            sql.NullInt64
	createdBy, endedBy, ending, detail, server sql.NullString
	result                                     sql.NullInt64
}

func (c *operationColumns) record(device string) *capf.OperationRecord {
	if !c.id.Valid {
		return nil
	}
	return &capf.OperationRecord{
		Ref: capf.OperationRef{ID: c.id.Int64, Revision: c.revision.Int64}, Device: device,
		Operation: capf.Operation(c.operation.String), AuthMode: capf.AuthMode(c.authMode.String),
		KeySize: capf.KeySize(c.keySize.String), CompletesBy: store.Time(c.completesBy),
		CreatedAt: store.Time(c.createdAt), CreatedBy: c.createdBy.String,
		EndedAt: store.Time(c.endedAt), EndedBy: c.endedBy.String, Ending: capf.Ending(c.ending.String),
		Result: store.Result(c.result), Detail: c.detail.String, Serving: c.server.String,
	}
}

// certificateColumns takes a certificate that may be missing.
type certificateColumns struct {
	id, operation                        sql.NullInt64
	kind, state, source                  sql.NullString
	serial, subject, issuer, sha256, key sql.NullString
	notBefore, notAfter                  sql.NullInt64
	recordedAt, confirmedAt, revokedAt   sql.NullInt64
	der                                  []byte
	revokeReason                         sql.NullString
}

func (c *certificateColumns) certificate(device string) capf.Certificate {
	return capf.Certificate{
		ID: c.id.Int64, Device: device, Kind: capf.CertificateKind(c.kind.String),
		State: capf.CertificateState(c.state.String), Source: capf.CertificateSource(c.source.String),
		Serial: c.serial.String, Subject: c.subject.String, Issuer: c.issuer.String,
		NotBefore: store.Time(c.notBefore), NotAfter: store.Time(c.notAfter), DER: c.der,
		SHA256: c.sha256.String, KeySHA256: c.key.String, Operation: c.operation.Int64,
		RecordedAt: store.Time(c.recordedAt), ConfirmedAt: store.Time(c.confirmedAt),
		RevokedAt: store.Time(c.revokedAt), RevokeReason: c.revokeReason.String,
	}
}

// scanPhone reads phoneColumns.
func scanPhone(cursor store.Scanner) (phoneRow, error) { return newPhoneScan().scan(cursor) }

// phoneScan has a place for each of phoneColumns. It is used again for each row of a list.
type phoneScan struct {
	row                 phoneRow
	digits              sql.Null[string]
	lastSession, result sql.NullInt64
	attempt, attemptAt  sql.NullInt64
	operation           operationColumns
	certificate         certificateColumns
	places              []any
}

func newPhoneScan() *phoneScan {
	s := &phoneScan{}
	p, o, c := &s.row.Phone, &s.operation, &s.certificate
	s.places = []any{&p.Device, &p.Description, &p.AuthMode, &s.digits, &p.KeySize, &p.SecurityMode,
		&p.LSCKnown, &p.MIC, &s.lastSession, &p.LastAddress, &p.LastTLS, &p.LSCHash, &s.result, &s.row.changes, &s.attempt, &s.attemptAt,
		&o.id, &c.id, &o.revision, &o.operation, &o.authMode, &o.keySize, &o.completesBy, &o.createdAt, &o.createdBy,
		&o.endedAt, &o.endedBy, &o.ending, &o.result, &o.detail, &o.server,
		&c.state, &c.source, &c.serial, &c.subject, &c.issuer, &c.notBefore, &c.notAfter, &c.der, &c.sha256, &c.key,
		&c.operation, &c.recordedAt, &c.confirmedAt}
	return s
}

func (s *phoneScan) scan(cursor store.Scanner) (phoneRow, error) {
	s.row = phoneRow{}
	err := cursor.Scan(s.places...)
	if err != nil {
		return phoneRow{}, err
	}
	p := &s.row.Phone
	if p.AuthString, err = store.Secret(s.digits); err != nil {
		return phoneRow{}, err
	}
	p.LastSession = store.Time(s.lastSession)
	p.LastResult = store.Result(s.result)
	if s.attempt.Valid {
		p.LastResult, p.LastAttempt = store.Result(s.attempt), store.Time(s.attemptAt)
	}
	p.Last = s.operation.record(p.Device)
	if s.certificate.id.Valid {
		s.certificate.kind = sql.NullString{String: string(capf.LSC), Valid: true}
		lsc := s.certificate.certificate(p.Device)
		p.LSC = &lsc
	}
	return s.row, nil
}

// pageSize is how many rows are read before they are handed out. No statement is open meanwhile: whoever
// takes them may be slow.
const pageSize = 256

// Phones hands out the phones that pass the filter, in the order of their names, until yield gives an
// error, which it gives back. Each page is consistent in itself; a phone that is changed while the list
// runs is shown as it was or as it is.
func (s *Store) Phones(ctx context.Context, filter capf.PhoneFilter, yield func(capf.Phone) error) error {
	filter, err := filter.Normalise()
	if err != nil {
		return err
	}
	at, err := s.Moment()
	if err != nil {
		return err
	}
	query, arguments := phonePage(filter)
	first, _ := filter.DevicePrefix()
	arguments = append([]any{first}, arguments...)
	row := newPhoneScan()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		page, err := store.Collect(s.reads, row.scan, query, arguments...)
		if err != nil {
			return err
		}
		for i := range page {
			if !filter.Matches(&page[i].Phone, at) {
				continue
			}
			if err := yield(page[i].Phone); err != nil {
				return err
			}
		}
		if len(page) < pageSize {
			return nil
		}
		// Names are printable: no name lies between this one and itself with 0x01 behind it.
		arguments[0] = page[len(page)-1].Device + "\x01"
	}
}

// phonePage gives the query for the phones from ?1 on, and its further arguments. Its conditions let
// through every phone that the filter would, and as few others as columns can tell. ?1 is the only lower
// bound of the name, which begins with what DevicePrefix gives: of two SQLite takes the first for the index,
// and would read all phones in front of the prefix.
func phonePage(filter capf.PhoneFilter) (query string, arguments []any) {
	var conditions strings.Builder
	conditions.WriteString(` WHERE p.device >= +?1`)
	add := func(condition string, values ...any) {
		conditions.WriteString(` AND ` + condition)
		arguments = append(arguments, values...)
	}
	if prefix, whole := filter.DevicePrefix(); whole {
		add(`p.device = +?`, prefix)
	} else if prefix != "" {
		// Names are ASCII: no name that begins with the prefix sorts behind it and 0x7f.
		add(`p.device < +?`, prefix+"\x7f")
	}
	if filter.AuthMode != nil {
		add(`p.auth_mode = +?`, string(*filter.AuthMode))
	}
	if filter.Operation != nil && *filter.Operation != capf.OperationNone {
		add(`o.ending = '' AND o.operation = +?`, string(*filter.Operation))
	}
	if filter.Status != nil {
		add(statusCondition[*filter.Status])
	}
	if filter.LSCStatus != nil {
		add(`p.lsc_known = +?`, string(knownAs(*filter.LSCStatus)))
	}
	if !filter.ExpiresBefore.IsZero() {
		// A certificate that ends within the second of the limit is for capf to judge.
		add(`c.not_after <= +?`, filter.ExpiresBefore.Unix())
	}
	return `SELECT ` + phoneColumns + phoneTables + conditions.String() + ` ORDER BY p.device LIMIT 256`, arguments
}

// statusCondition tells for each status which operations can be in it.
var statusCondition = map[capf.Status]string{
	capf.StatusNone:       `(o.ending IS NULL OR o.ending IN ('replaced', 'withdrawn'))`,
	capf.StatusPending:    `o.ending = ''`,
	capf.StatusInProgress: `o.ending = ''`,
	capf.StatusSuccess:    `o.ending = 'success'`,
	capf.StatusFailed:     `o.ending = 'failed'`,
	capf.StatusExpired:    `o.ending IN ('', 'expired')`,
}

// knownAs gives what the column says of phones whose LSC has that status: whether it has expired is not
// in it.
func knownAs(status capf.LSCStatus) capf.LSCStatus {
	if status == capf.LSCExpired {
		return capf.LSCInstalled
	}
	return status
}

// Pending operations are counted by their partial indexes alone; phones by TLS version by reading them all.
const (
	countOpen  = `SELECT count(*) FROM operations WHERE ending = ''`
	countLate  = `SELECT count(*) FROM operations WHERE ending = '' AND completes_by < +?1`
	countByTLS = `SELECT last_tls, count(*) FROM phones GROUP BY last_tls`
)

// PhonesByTLS counts the phones by the TLS version of their last session, as `1.0`; "" for those that never
// had one. It reads all phones.
func (s *Store) PhonesByTLS(ctx context.Context) (map[string]int, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	counts := make(map[string]int)
	err := s.reads.Each(func(cursor store.Scanner) error {
		var version string
		var count int
		err := cursor.Scan(&version, &count)
		counts[version] = count
		return err
	}, countByTLS)
	return counts, err
}

// OpenOperations counts the operations that have not ended: all of them, and those whose deadline has
// passed, which read as expired and are ended soon.
func (s *Store) OpenOperations(ctx context.Context) (all, late int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, 0, err
	}
	if _, err := s.reads.First(store.Into(&all), countOpen); err != nil {
		return 0, 0, err
	}
	if _, err := s.reads.First(store.Into(&late), countLate, s.now().Unix()); err != nil {
		return 0, 0, err
	}
	return all, late, nil
}

// Phones are grouped by columns alone, and so that the rules of capf, which are asked about one of a group, would
// say the same of all: whether a deadline or the end of an LSC has passed is part of it. It reads all phones once.
const selectGroups = `SELECT count(*), p.lsc_known, p.mic, o.operation, o.auth_mode, o.ending, iif(o.serving = ?2, o.serving, '') AS server,
	o.completes_by < ?1 AS late, max(o.completes_by), c.not_after < ?1 AS over, max(c.not_after)
	FROM phones p LEFT JOIN operations o ON o.id = p.last_operation LEFT JOIN certificates c ON c.id = p.lsc
	GROUP BY p.lsc_known, p.mic, o.operation, o.auth_mode, o.ending, server, late, over`

// PhoneGroups counts the phones that read alike at the moment.
func (s *Store) PhoneGroups(ctx context.Context, at capf.Moment) ([]capf.PhoneGroup, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return store.Collect(s.reads, scanGroup, selectGroups, at.Now.Unix(), at.Living)
}

func scanGroup(cursor store.Scanner) (group capf.PhoneGroup, err error) {
	var operation, mode, ending, server sql.NullString
	var late, over sql.NullBool
	var completesBy, notAfter sql.NullInt64
	p := &group.Phone
	err = cursor.Scan(&group.Count, &p.LSCKnown, &p.MIC, &operation, &mode, &ending, &server, &late, &completesBy, &over, &notAfter)
	if operation.Valid {
		p.Last = &capf.OperationRecord{Operation: capf.Operation(operation.String), AuthMode: capf.AuthMode(mode.String),
			Ending: capf.Ending(ending.String), Serving: server.String, CompletesBy: store.Time(completesBy)}
	}
	if notAfter.Valid {
		p.LSC = &capf.Certificate{Kind: capf.LSC, NotAfter: store.Time(notAfter)}
	}
	return group, err
}

// UnfinishedRuns counts the migration runs that are being staged or were broken off: nothing of them is visible.
func (s *Store) UnfinishedRuns(ctx context.Context) (count int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	_, err = s.reads.First(store.Into(&count), `SELECT count(*) FROM migration_runs WHERE applied_at IS NULL AND rolled_back_at IS NULL`)
	return count, err
}
