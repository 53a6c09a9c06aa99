// What phones and servers of the CallManager 4.1 era need of Go's standard library:
//
// rsa1024min=0: SAST tokens and phones may have RSA keys of 512 bits, which crypto/rsa refuses otherwise. It
// holds for the whole program; our own keys are never below 2048 bits (runtime/ca), and a phone gets a
// short key only where its key size says so.
//
// tlssha1=1: phones that reach TLS 1.2 and offer SHA-1 as their only signature hash cannot shake hands
// otherwise.
//
// x509negativeserial=1: certificates of old Windows servers have negative serial numbers, and must still be
// read from their files.
//
//go:debug rsa1024min=0
//go:debug tlssha1=1
//go:debug x509negativeserial=1

// Command capf migrates the data of CAPF 1.0, distributes the certificate trust list, and serves phones.
// What its commands are called and print is a contract (`cli.md`); what they do stands in the packages that
// they call.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/hashicorp/go-multierror"

	"capf/runtime/capf"
)

type commands struct {
	Data     string `help:"Directory of the store, the keys and the traces." env:"CAPF_DATA" default:"${data}" type:"path" placeholder:"DIR"`
	Config   string `help:"Configuration of this machine (TOML)." type:"path" placeholder:"FILE"`
	JSON     bool   `help:"Print one JSON document." name:"json"`
	LogLevel string `help:"debug, info, warn or error." placeholder:"LEVEL"`

	Init        initCommand         `cmd:"" help:"Activate CAPF: data directory, store, key pair and certificate."`
	Migrate     migrateCommands     `cmd:"" help:"Take over the data of CAPF 1.0."`
	Node        nodeCommands        `cmd:"" help:"The servers of the cluster."`
	CTL         ctlCommands         `cmd:"" name:"ctl" help:"The certificate trust list: tokens, list, distribution."`
	Serve       serveCommand        `cmd:"" help:"Answer phones."`
	Phone       phoneCommands       `cmd:"" help:"Phones and their certificate operations."`
	Bulk        bulkCommands        `cmd:"" help:"Change many phones by a file."`
	Report      reportCommand       `cmd:"" help:"The CAPF report."`
	Anchor      anchorCommands      `cmd:"" help:"Trust anchors for the LSCs and MICs of phones."`
	CA          caCommands          `cmd:"" name:"ca" help:"The CAPF certificate: renewal, revocation, CRL."`
	Certificate certificateCommands `cmd:"" help:"Certificates that were issued or seen."`
	Parameter   parameterCommands   `cmd:"" help:"Service and enterprise parameters."`
	Session     sessionCommands     `cmd:"" help:"The sessions of the running service."`
	Trace       traceCommands       `cmd:"" help:"Traces of sessions, and the level of the service's log."`
	Checklist   checklistCommand    `cmd:"" help:"The checklist of a rollout: what is done, what is to do, and the next command."`
	Backup      backupCommand       `cmd:"" help:"Put everything of the data directory into one file, keys included, also while the service runs."`
	Restore     restoreCommand      `cmd:"" help:"Make a data directory from a backup."`
	Simulate    simulateCommand     `cmd:"" help:"Phones that speak the protocol, for trials and load."`
}

// defaultData is the data directory where neither --data nor $CAPF_DATA names one.
const defaultData = "capf-data"

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run carries out one command and gives the exit status.
func run(arguments []string, stdin io.Reader, stdout, stderr io.Writer) int {
	// A limit on file sizes is to be an error of the write, not the end of the process.
	signal.Ignore(syscall.SIGXFSZ)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var commands commands
	parser, err := kong.New(&commands, kong.Name("capf"), kong.Vars{"data": defaultData}, kong.Writers(stdout, stderr),
		kong.Description("Certificates for Cisco IP phones: migrate from CAPF 1.0, distribute the trust list, serve phones."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
	if err != nil {
		return report(stderr, err)
	}
	parsed, err := parser.Parse(arguments)
	if err != nil {
		return report(stderr, usageError(err))
	}
	if commands.Data == "" { // $CAPF_DATA is there and empty
		commands.Data = kong.ExpandPath(defaultData)
	}
	app := &app{ctx: ctx, data: commands.Data, config: commands.Config, json: commands.JSON, logLevel: commands.LogLevel,
		stdin: stdin, stdout: stdout, stderr: stderr}
	defer app.closeTokens()
	// Also for commands that need none of it: a mistake is to show when it is made.
	if _, err := app.settings(); err != nil {
		return report(stderr, err)
	}
	if err := app.checkOwner(parsed.Command(), arguments); err != nil {
		return report(stderr, err)
	}
	return report(stderr, interrupted(ctx, parsed.Run(app)))
}

// interrupted says in a person's words that a command was ended by Ctrl-C or SIGTERM, instead of how its parts took that.
// What fell to it otherwise stays beside it, and so does what was done of many things.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() == nil || !errors.Is(err, context.Canceled) {
		return err
	}
	var left []error
	for _, one := range lines(err) {
		if !errors.Is(one, context.Canceled) {
			left = append(left, one)
		}
	}
	code := capf.CodeUnavailable
	if exitStatus(err) == capf.ConsequenceOf(&capf.Error{Code: capf.CodePart}).Exit {
		code = capf.CodePart
	}
	return errors.Join(append(left, &capf.Error{Code: code, Message: "interrupted before it was finished",
		Hint: "the same command again does all that is not done yet"})...)
}

// usageError makes what kong says an error of usage.
func usageError(err error) error {
	if capf.HasCode(err, capf.CodeInvalid) {
		return err
	}
	return &capf.Error{Code: capf.CodeInvalid, Message: err.Error(), Hint: "see `capf --help`"}
}

// report prints what failed, a line each, and gives the exit status.
func report(stderr io.Writer, err error) int {
	if err == nil {
		return 0
	}
	for _, one := range lines(err) {
		fmt.Fprintln(stderr, "capf:", safeLine(strings.ReplaceAll(one.Error(), "\n", "; ")))
	}
	return exitStatus(err)
}

// lines takes collected failures apart, never what an error of the domain has gathered into its one line.
func lines(err error) []error {
	var parts []error
	switch gathered := err.(type) {
	case *capf.Error:
	case *multierror.Error:
		parts = gathered.Errors
	case interface{ Unwrap() []error }:
		if parts = gathered.Unwrap(); err.Error() != errors.Join(parts...).Error() {
			parts = nil // one sentence about several causes
		}
	}
	if len(parts) == 0 {
		return []error{err}
	}
	var all []error
	for _, part := range parts {
		all = append(all, lines(part)...)
	}
	return all
}

// exitStatus gives the highest status of what failed: wrong usage counts more than failure.
func exitStatus(err error) int {
	status := 0
	for _, one := range lines(err) {
		status = max(status, capf.ConsequenceOf(one).Exit)
	}
	return status
}
