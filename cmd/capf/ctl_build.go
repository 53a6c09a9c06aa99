package main

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"capf/ctl"
	"capf/internal/plain"
	"capf/runtime/ca"
	"capf/runtime/capf"
	"capf/runtime/pkcs11"
	"capf/runtime/store/sqlite"
)

// A new trust list, with its ITL, and what is to be said about the newest one.

type ctlBuildCommand struct {
	Mode        capf.ClusterMode `help:"Security mode of the cluster: non-secure or mixed; kept and shown, the file has no field for it. Default: that of the list before, else non-secure."`
	ITL         bool             `name:"itl" help:"Make an ITLFile.tlv for newer phones with it."`
	Signer      string           `name:"signer-version" help:"Signer version in the header: none (phones of the 4.1 era), 1.0, or 1.1 for phones that take EC keys; auto: none, in an ITL 1.0, or 1.1 where a server has an EC key." default:"auto" enum:"auto,none,1.0,1.1"`
	Digest      string           `help:"sha1 or sha512; phones of the 79xx family know sha1 only." default:"sha1" enum:"sha1,sha512"`
	SingleToken bool             `help:"Accept a list with one token: were it lost, phones would take no other list."`
	AddToken    []string         `help:"Add a token with this list: its PEM file or PKCS #11 URI." placeholder:"NAME=PLACE" sep:"none"`
	DropToken   []string         `help:"Leave a token out of this and all later lists." placeholder:"NAME" sep:"none"`
	SignWith    string           `help:"Sign with this token; default: the first that phones take a list of, and that is at hand." placeholder:"NAME"`
	StartOver   bool             `help:"Build also where no token of the list that phones hold can sign: every phone must then be reset by hand."`
}

// Run builds a list, signed by a token of the one that phones hold, and keeps it.
func (c *ctlBuildCommand) Run(app *app) error {
	return app.withStore(func(store *sqlite.Store) error {
		building := &building{app: app, store: store, command: c, opened: map[string]*ctl.Token{}}
		for _, step := range []func() error{building.drop, building.add, building.checkSigner, building.findField} {
			if err := step(); err != nil {
				return err
			}
		}
		made, err := building.make()
		if err != nil {
			return err
		}
		if err := building.makeITL(made); err != nil {
			return err
		}
		return building.keep(made)
	})
}

// building is one run of the command.
type building struct {
	app     *app
	store   *sqlite.Store
	command *ctlBuildCommand
	tokens  []capf.Token     // of the new list
	change  capf.TokenChange // what comes and goes with it
	dropped []capf.Token
	made    ctl.Contents     // of the list
	itl     *ctl.Successor   // nil: none is asked for
	field   *capf.CTLVersion // the list that phones are taken to hold; nil: none
	newest  capf.ClusterMode // of the newest list, where there is a field
	opened  map[string]*ctl.Token
}

// drop finds the tokens that there are, and takes out those that leave.
func (b *building) drop() (err error) {
	if b.tokens, err = b.store.Tokens(b.app.ctx); err != nil {
		return err
	}
	for _, name := range b.command.DropToken {
		i := b.find(name)
		if i < 0 {
			return noToken(name)
		}
		b.dropped = append(b.dropped, b.tokens[i])
		b.tokens = slices.Delete(b.tokens, i, i+1)
	}
	b.change.Remove = b.command.DropToken
	return nil
}

func (b *building) find(name string) int {
	return slices.IndexFunc(b.tokens, func(token capf.Token) bool { return token.Name == name })
}

func noToken(name string) error {
	return &capf.Error{Code: capf.CodeNotFound, Message: fmt.Sprintf("token %q is none of this list", name), Hint: "see `capf ctl token list`"}
}

// add reads the tokens that come with the list.
func (b *building) add() error {
	for _, given := range b.command.AddToken {
		name, place, found := strings.Cut(given, "=")
		if !found || name == "" || place == "" {
			return &capf.Error{Code: capf.CodeInvalid, Message: "--add-token without name or place", Hint: "give NAME=PEM-FILE or NAME=pkcs11:…"}
		}
		if !pkcs11.IsURI(place) {
			absolute, err := filepath.Abs(place)
			if err != nil {
				return err
			}
			place = absolute
		}
		token, err := newToken(b.app, name, place, "")
		if err != nil {
			return err
		}
		b.change.Add = append(b.change.Add, token)
	}
	b.tokens = append(b.tokens, b.change.Add...)
	return nil
}

func (b *building) checkSigner() error {
	if name := b.command.SignWith; name != "" && b.find(name) < 0 {
		return noToken(name)
	}
	return nil
}

// findField finds the list that phones hold, and says where that is not the newest, or not known.
func (b *building) findField() error {
	field, err := b.store.FieldCTL(b.app.ctx)
	if capf.HasCode(err, capf.CodeNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	b.field = &field
	latest, err := b.store.LatestCTL(b.app.ctx)
	if err != nil {
		return err
	}
	b.newest = latest.Mode
	switch {
	case field.Origin != capf.CTLImported && field.DistributedAt.IsZero():
		b.app.say("no node is known to have got a list yet; version %d, the newest, is taken for the one that phones hold", field.Version)
	case latest.Version != field.Version:
		b.app.say("no node has got version %d; the new list follows version %d, which phones hold", latest.Version, field.Version)
	}
	return nil
}

// make builds the list with the first token that will do.
func (b *building) make() (*ctl.Successor, error) {
	var err error
	if b.made, err = b.command.contents(b.app, b.store, b.tokens); err != nil {
		return nil, err
	}
	b.command.noteEC(b.app, &b.made)
	succession := ctl.Succession{Contents: b.made, Candidates: b.candidates(), StartOver: b.command.StartOver}
	if b.field != nil {
		succession.Previous = b.field.File
	}
	made, err := succession.Build()
	if refused := new(ctl.NoSignerError); errors.As(err, &refused) {
		return nil, b.refuse(refused)
	}
	if err != nil {
		return nil, &capf.Error{Code: capf.CodeRefused, Message: "build the trust list", Err: err}
	}
	return made, nil
}

var errNotNamed = errors.New("--sign-with names another")

// candidates gives the tokens of the new list as those who may sign it, and those that leave as who might have.
func (b *building) candidates() []ctl.Candidate {
	var candidates []ctl.Candidate
	for _, token := range b.tokens {
		if b.command.SignWith != "" && b.command.SignWith != token.Name {
			candidates = append(candidates, ctl.Candidate{Name: token.Name, Certificate: parseStored(token.Certificate),
				Open: func() (*ctl.Token, error) { return nil, errNotNamed }})
			continue
		}
		candidates = append(candidates, ctl.Candidate{Name: token.Name, Certificate: parseStored(token.Certificate),
			Open: func() (*ctl.Token, error) { return b.open(token) }})
	}
	for _, token := range b.dropped {
		candidates = append(candidates, ctl.Candidate{Name: token.Name, Certificate: parseStored(token.Certificate)})
	}
	return candidates
}

// open opens a token once, for the list and its ITL: it may ask for a PIN.
func (b *building) open(token capf.Token) (*ctl.Token, error) {
	if opened := b.opened[token.Name]; opened != nil {
		return opened, nil
	}
	opened, err := openToken(b.app, token)
	if err != nil {
		return nil, err
	}
	b.opened[token.Name] = opened
	return opened, nil
}

// refuse says which tokens would do, and what to do where all of them are gone.
func (b *building) refuse(refused *ctl.NoSignerError) error {
	problem := &capf.Error{Code: capf.CodeRefused, Message: "build the trust list", Err: refused}
	switch {
	case b.command.StartOver || b.field == nil:
		problem.Hint = "add a token of yours that is at hand, with `capf ctl token add`"
	default:
		problem.Message = fmt.Sprintf("build a trust list that phones with version %d take", b.field.Version)
		problem.Hint = "plug in or add one of these; if all of them are lost, --start-over builds a list for which every phone must be reset by hand"
	}
	return problem
}

// keep stores the list together with the change of tokens, and says what to do next.
func (b *building) keep(made *ctl.Successor) error {
	for _, passed := range made.Passed {
		if passed.Err != nil && !errors.Is(passed.Err, errNotNamed) {
			b.app.say("token %s cannot sign: %v", passed.Name, passed.Err)
		}
	}
	contents, err := ctl.Decode(made.Raw)
	if err != nil {
		return err
	}
	kept := capf.CTLVersion{Origin: capf.CTLBuilt, Mode: b.mode(), Digest: b.command.Digest,
		Signer: made.Signer.Certificate.Subject.String(), SignedAt: contents.Header.Timestamp, SHA256: capf.HexSHA256(made.Raw), File: made.Raw}
	if b.itl != nil {
		kept.ITL = b.itl.Raw
	}
	version, err := b.store.KeepCTL(b.app.ctx, kept, b.change, actor())
	if err != nil {
		return err
	}
	b.app.say("version %d, cluster security mode %s, signed by %s", version, kept.Mode, made.Signer.Certificate.Subject)
	if !made.Dated.IsZero() {
		b.app.say("warning: version %d is dated %s, after the clock of this machine, and so is the new list, which is to succeed it; see that the clock is right",
			b.field.Version, capf.FormatTime(made.Dated))
	}
	if err := b.sayLost(made.Raw); err != nil {
		return err
	}
	sayReminders(b.app, ctl.Remind(contents, &b.made, time.Now()))
	if err := b.sayITL(); err != nil {
		return err
	}
	if oneHardware(b.tokens) {
		b.app.say("warning: all tokens lie in one piece of hardware: with it they are lost together, and phones take no other list")
	}
	if made.Broken != nil {
		return b.sayStartOver(version, made)
	}
	if b.command.StartOver {
		b.app.say("--start-over was not needed: phones take this list")
	}
	b.app.say("next: %s", afterBuild)
	return b.warnBehind()
}

// mode is the one that was asked for, else that of the list that phones hold. Of an imported one it is not known: then
// that of the newest list.
func (b *building) mode() capf.ClusterMode {
	switch {
	case b.command.Mode != "":
		return b.command.Mode
	case b.field == nil:
		return capf.ClusterNonSecure
	}
	known := cmp.Or(b.field.Mode, b.newest)
	if known == "" {
		b.app.say("the security mode under version %d, which was imported, is not known here: taken for %s; if it is another, build with --mode", b.field.Version, capf.ClusterNonSecure)
	}
	return cmp.Or(known, capf.ClusterNonSecure)
}

// sayLost says what the list before has and this one has not: a server that was removed, or what another maker put
// there.
func (b *building) sayLost(made []byte) error {
	if b.field == nil {
		return nil
	}
	difference, err := ctl.Compare(b.field.File, made)
	if err != nil {
		return err
	}
	for _, line := range difference.Lost() {
		b.app.say("not carried on from version %d: %s", b.field.Version, plain.Line(line))
	}
	return nil
}

// sayStartOver says what no command can do.
func (b *building) sayStartOver(version int64, made *ctl.Successor) error {
	b.app.say("warning: phones that hold version %d do not take version %d: %v", b.field.Version, version, made.Broken)
	for i, step := range []string{
		"on the servers: `capf ctl distribute --start-over`, which replaces the list on every node; then restart the CallManager and TFTP services of each",
		"on every phone, by hand, one by one: Settings, Security Configuration, CTL file (or Trust List), unlock with **#, Erase; a phone without that menu is reset to factory settings",
		"then reset the phones: each takes the first list that it is offered, so see that no other TFTP server answers in their networks meanwhile",
		"phones in mode authenticated or encrypted do not register before that is done",
		"keep two tokens in different places from now on",
	} {
		b.app.say("by hand %d: %s", i+1, step)
	}
	return nil
}

// warnBehind names the nodes that have not got the list that the new one follows.
func (b *building) warnBehind() error {
	if b.field == nil || b.field.DistributedAt.IsZero() {
		return nil
	}
	deliveries, err := b.store.Deliveries(b.app.ctx)
	if err != nil {
		return err
	}
	nodes, err := b.store.Nodes(b.app.ctx)
	if err != nil {
		return err
	}
	var behind []string
	for _, node := range nodes {
		if !slices.ContainsFunc(deliveries, func(last capf.Delivery) bool {
			return last.Node == node.Name && last.Version >= b.field.Version && last.Reached()
		}) {
			behind = append(behind, plain.Line(node.Name))
		}
	}
	if len(behind) > 0 {
		b.app.say("warning: version %d is not known to be on %s; phones may hold an earlier list from there, which this one need not succeed", b.field.Version, strings.Join(behind, ", "))
	}
	return nil
}

// contents gathers what the list is made of, and how it is to be signed.
func (c *ctlBuildCommand) contents(app *app, store *sqlite.Store, tokens []capf.Token) (ctl.Contents, error) {
	contents, err := gatherContents(app, store, tokens)
	if err != nil {
		return ctl.Contents{}, err
	}
	if contents.Digest, err = ctl.ParseDigest(c.Digest); err != nil {
		return ctl.Contents{}, err
	}
	contents.Timestamp, contents.SingleToken = time.Now().UTC().Truncate(time.Second), c.SingleToken
	contents.SignerVersion = c.signerVersion(&contents)
	return contents, nil
}

// signerVersion is the one that was asked for. By itself a CTL has none: a list is for all phones of the cluster, and
// those of the 4.1 era are to be spared the element [P]. An ITL is for newer phones only.
func (c *ctlBuildCommand) signerVersion(contents *ctl.Contents) ctl.Version {
	switch {
	case c.Signer == "1.1", c.Signer == "auto" && contents.ITL && contents.HasEC():
		return ctl.SignerVersion11
	case c.Signer == "1.0", c.Signer == "auto" && contents.ITL:
		return ctl.SignerVersion10
	}
	return ctl.SignerVersionOmitted
}

// noteEC says what phones make of a server with an EC key.
func (c *ctlBuildCommand) noteEC(app *app, contents *ctl.Contents) {
	if contents.HasEC() && contents.SignerVersion != ctl.SignerVersion11 {
		app.say("note: a server has an EC key, which phones of the 4.1 era cannot read; where all phones are newer, build with --signer-version 1.1")
	}
}

// makeITL makes the ITL, where one is asked for, with the token that signed the list if that will do. Its tokens are named
// as in the list, by which phones may know them.
func (b *building) makeITL(made *ctl.Successor) error {
	if !b.command.ITL {
		return nil
	}
	list, err := ctl.Decode(made.Raw)
	if err != nil {
		return err
	}
	contents := b.made
	contents.ITL = true
	contents.SpellAs(list)
	contents.SignerVersion = b.command.signerVersion(&contents)
	if err := addTVS(b.app, b.store, &contents); err != nil {
		return err
	}
	candidates := b.candidates()
	slices.SortStableFunc(candidates, func(x, y ctl.Candidate) int { return rank(x, made.Signer.Name) - rank(y, made.Signer.Name) })
	succession := ctl.Succession{Contents: contents, Candidates: candidates, StartOver: b.command.StartOver}
	field, err := b.store.FieldITL(b.app.ctx)
	if err != nil && !capf.HasCode(err, capf.CodeNotFound) {
		return err
	}
	succession.Previous = field.ITL
	b.itl, err = succession.Build()
	if refused := new(ctl.NoSignerError); errors.As(err, &refused) {
		return &capf.Error{Code: capf.CodeRefused, Message: fmt.Sprintf("build an ITL that phones with that of version %d take", field.Version), Err: refused,
			Hint: "plug in or add one of these; if all of them are lost, --start-over builds one for which every phone must be reset by hand"}
	}
	if err != nil {
		return &capf.Error{Code: capf.CodeRefused, Message: "build the ITL", Err: err}
	}
	return nil
}

func rank(candidate ctl.Candidate, signer string) int {
	if candidate.Name == signer {
		return 0
	}
	return 1
}

// addTVS adds the trust verification services of the nodes.
func addTVS(app *app, store *sqlite.Store, contents *ctl.Contents) error {
	nodes, err := store.Nodes(app.ctx)
	if err != nil {
		return err
	}
	for _, node := range nodes {
		if certificate := parseStored(node.TVSCertificate); certificate != nil {
			contents.TVS = append(contents.TVS, ctl.Server{Name: node.Name, DNSName: node.HostName(), Address: node.Address,
				Role: ctl.RoleTrustVerificationService, Certificate: certificate})
		}
	}
	return nil
}

// sayITL says what phones make of the ITL, and where an older one is left behind.
func (b *building) sayITL() error {
	if b.itl != nil {
		b.app.say("with an ITL, signed by %s", b.itl.Signer.Certificate.Subject)
		if b.itl.Broken != nil {
			b.app.say("warning: phones that hold the earlier ITL do not take this one: %v; erase it on each (Settings, Security Configuration, Trust List)", b.itl.Broken)
		}
		return nil
	}
	field, err := b.store.FieldITL(b.app.ctx)
	if capf.HasCode(err, capf.CodeNotFound) {
		return nil
	}
	if err == nil {
		b.app.say("warning: version %d came with an ITL and this one does not: where that one is, it stays; build with --itl to keep both in step", field.Version)
	}
	return err
}

// remindOf says what should be done about a list: all that is known about the newest one of the store, and of any other
// only whose certificates come to their end.
func remindOf(app *app, list readableList, file *ctl.File) error {
	if !list.newest {
		sayReminders(app, ctl.Remind(file, nil, time.Now()))
		return nil
	}
	return app.withStore(func(store *sqlite.Store) error { return remindOfVersion(app, store, *list.stored, file) })
}

// remindOfVersion is remindOf for the newest list of the store: whether it has what a new one would have, whether it went
// anywhere, and whose certificate comes to its end.
func remindOfVersion(app *app, store *sqlite.Store, latest capf.CTLVersion, file *ctl.File) error {
	var contents *ctl.Contents
	tokens, err := store.Tokens(app.ctx)
	if err != nil {
		return err
	}
	gathered, err := gatherContents(app, store, tokens)
	switch {
	case err == nil:
		contents = &gathered
		if contents.ITL = file.IsITL(); contents.ITL {
			if err := addTVS(app, store, contents); err != nil {
				return err
			}
		}
	case capf.HasCode(err, capf.CodeRefused), capf.HasCode(err, capf.CodeNotActivated):
		// Without a publisher or an identity there is nothing to compare with; who builds a list is told so.
	default:
		return err
	}
	sayReminders(app, ctl.Remind(file, contents, time.Now()))
	if latest.Origin == capf.CTLBuilt && latest.DistributedAt.IsZero() {
		app.say("reminder: no node is known to have got version %d: %s", latest.Version, afterBuild)
	}
	return nil
}

// remindOfStatus is remindOfVersion, and what is to be done on the machines once a list is on them: whether it was done
// nobody can see from here.
func remindOfStatus(app *app, store *sqlite.Store, latest capf.CTLVersion) error {
	file, err := ctl.Decode(latest.File)
	if err != nil {
		return err
	}
	if err := remindOfRestarts(app, store, latest); err != nil {
		return err
	}
	return remindOfVersion(app, store, latest, file)
}

// remindOfRestarts names the nodes of which a restart is due. Of lists that were distributed before these were noted it
// is not known.
func remindOfRestarts(app *app, store *sqlite.Store, latest capf.CTLVersion) error {
	restarts, err := store.Restarts(app.ctx)
	if err != nil || latest.DistributedAt.IsZero() {
		return err
	}
	const since = "version %d is on servers since %s: phones know it once the CallManager and TFTP services"
	switch due := capf.RestartsDue(restarts); {
	case len(due) > 0:
		app.say(since+" of %s were restarted and the phones reset; then say so with `capf ctl restarted`", latest.Version,
			capf.FormatTime(latest.DistributedAt), plain.Line(strings.Join(due, ", ")))
	case len(restarts) == 0:
		app.say(since+" were restarted and the phones reset", latest.Version, capf.FormatTime(latest.DistributedAt))
	}
	return nil
}

// afterBuild is what a new list asks for (ctl-format.md, "Rules").
const afterBuild = "run `capf ctl distribute`, then restart the CallManager and TFTP services of the servers and reset the phones"

func sayReminders(app *app, reminders []ctl.Reminder) {
	for _, reminder := range reminders {
		app.say("reminder: %s", plain.Line(fmt.Sprint(reminder)))
	}
}

// remindOfList says so where the newest list was made without the CAPF certificate in force (A1).
func remindOfList(app *app, store *sqlite.Store, authority *ca.Authority) error {
	latest, err := store.LatestCTL(app.ctx)
	if capf.HasCode(err, capf.CodeNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	file, err := ctl.Decode(latest.File)
	if err != nil {
		return err
	}
	if !file.Has(ctl.RoleCAPF, authority.Certificate) {
		app.say("the newest trust list (version %d) does not hold this CAPF certificate: phones will refuse it until `capf ctl build` and `capf ctl distribute` have been run",
			latest.Version)
	}
	return nil
}

// remindBeforeServing is remindOfList for a service that is about to start.
func remindBeforeServing(app *app) error {
	authority, err := app.authority()
	if err != nil {
		return err
	}
	return app.withStore(func(store *sqlite.Store) error { return remindOfList(app, store, authority) })
}
