package dialect

import (
	"sync"

	"capf/legacy"
)

// tables are the words of a dialect. One that is absent means the words of builtin/words.toml; one that is there is
// all there is.
type tables struct {
	Columns    *columnWords    `toml:"columns"`
	Operations *operationWords `toml:"operations"`
	States     *stateWords     `toml:"states"`
	Modes      *modeWords      `toml:"authentication-modes"`
	Parameters *parameterWords `toml:"parameters"`
}

type columnWords struct {
	Device               []string `toml:"device"`
	Operation            []string `toml:"operation"`
	State                []string `toml:"state"`
	AuthenticationMode   []string `toml:"authentication-mode"`
	AuthenticationString []string `toml:"authentication-string"`
	KeySize              []string `toml:"key-size"`
	StatusTime           []string `toml:"status-time"`
	CompletesBy          []string `toml:"completes-by"`
	Description          []string `toml:"description"`
}

type operationWords struct {
	None         []string `toml:"none"`
	Install      []string `toml:"install"`
	Delete       []string `toml:"delete"`
	Troubleshoot []string `toml:"troubleshoot"`
}

type stateWords struct {
	None    []string `toml:"none"`
	Pending []string `toml:"pending"`
	Success []string `toml:"success"`
	Failed  []string `toml:"failed"`
}

type modeWords struct {
	AuthenticationString   []string `toml:"authentication-string"`
	NullString             []string `toml:"null-string"`
	ExistingCertificateLSC []string `toml:"existing-certificate-lsc"`
	ExistingCertificateMIC []string `toml:"existing-certificate-mic"`
}

type parameterWords struct {
	CertificateIssuer     []string `toml:"certificate-issuer"`
	CertificateValidity   []string `toml:"duration-of-certificate-validity"`
	KeySize               []string `toml:"key-size"`
	KeyGenerationTime     []string `toml:"maximum-key-generation-time"`
	KeyGenerationAttempts []string `toml:"maximum-key-generation-attempts"`
	KeonJurisdictionID    []string `toml:"keon-jurisdiction-id"`
	SCEPPortNumber        []string `toml:"scep-port-number"`
	CAAddress             []string `toml:"certificate-authority-address"`
	PhonePort             []string `toml:"capf-phone-port"`
	OperationExpiresIn    []string `toml:"capf-operation-expires-in"`
}

var defaultWords = func() []byte {
	content, err := builtinFiles.ReadFile("builtin/words.toml")
	if err != nil {
		panic(err) // embedded: cannot be missing
	}
	return content
}()

var defaultTables = sync.OnceValue(func() tables {
	var out tables
	if err := decodeStrict(defaultWords, &out); err != nil {
		panic(err) // embedded: a test reads it
	}
	return out
})

// fill makes the tables of a dialect, from the default ones where there are none.
func (t tables) fill(into *Dialect) (err error) {
	defaults := defaultTables()
	columns := orDefault(t.Columns, defaults.Columns).rows()
	operations := orDefault(t.Operations, defaults.Operations).rows()
	states := orDefault(t.States, defaults.States).rows()
	modes := orDefault(t.Modes, defaults.Modes).rows()
	if into.columns, err = newTable("columns", columns); err != nil {
		return err
	}
	if into.operations, err = newTable("operations", operations); err != nil {
		return err
	}
	if into.states, err = newTable("states", states); err != nil {
		return err
	}
	if into.modes, err = newTable("authentication-modes", modes); err != nil {
		return err
	}
	into.endings = endingsOf(into.states, into.operations)
	into.words = map[Field][]Words{Operation: shownRows(operations), State: shownRows(states), AuthenticationMode: shownRows(modes)}
	into.parameters, err = newTable("parameters", orDefault(t.Parameters, defaults.Parameters).rows())
	return err
}

// Parameters are the names of all parameters that a configuration can set, as cli.md has them.
func Parameters() []string {
	var out []string
	for _, row := range defaultTables().Parameters.rows() {
		out = append(out, string(row.meaning))
	}
	return out
}

func orDefault[T any](given, otherwise *T) *T {
	if given != nil {
		return given
	}
	return otherwise
}

func (w *columnWords) rows() []words[Field] {
	return []words[Field]{
		{Device, w.Device}, {Operation, w.Operation}, {State, w.State},
		{AuthenticationMode, w.AuthenticationMode}, {AuthenticationString, w.AuthenticationString},
		{KeySize, w.KeySize}, {StatusTime, w.StatusTime}, {CompletesBy, w.CompletesBy}, {Description, w.Description},
	}
}

func (w *operationWords) rows() []words[legacy.Operation] {
	return []words[legacy.Operation]{
		{legacy.OperationNone, w.None}, {legacy.OperationInstall, w.Install},
		{legacy.OperationDelete, w.Delete}, {legacy.OperationTroubleshoot, w.Troubleshoot},
	}
}

func (w *stateWords) rows() []words[legacy.State] {
	return []words[legacy.State]{
		{legacy.StateNone, w.None}, {legacy.StatePending, w.Pending},
		{legacy.StateSuccess, w.Success}, {legacy.StateFailed, w.Failed},
	}
}

func (w *modeWords) rows() []words[legacy.AuthenticationMode] {
	return []words[legacy.AuthenticationMode]{
		{legacy.ModeAuthenticationString, w.AuthenticationString}, {legacy.ModeNullString, w.NullString},
		{legacy.ModeExistingCertificateLSC, w.ExistingCertificateLSC},
		{legacy.ModeExistingCertificateMIC, w.ExistingCertificateMIC},
	}
}

func (w *parameterWords) rows() []words[string] {
	return []words[string]{
		{"certificate-issuer", w.CertificateIssuer},
		{"duration-of-certificate-validity", w.CertificateValidity},
		{"key-size", w.KeySize},
		{"maximum-key-generation-time", w.KeyGenerationTime},
		{"maximum-key-generation-attempts", w.KeyGenerationAttempts},
		{"keon-jurisdiction-id", w.KeonJurisdictionID},
		{"scep-port-number", w.SCEPPortNumber},
		{"certificate-authority-address", w.CAAddress},
		{"capf-phone-port", w.PhonePort},
		{"capf-operation-expires-in", w.OperationExpiresIn},
	}
}
