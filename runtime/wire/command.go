package wire

import "fmt"

// Command says what a message is for. The numbers, and which side sends them, are in capf-protocol.md.
type Command uint8

// The commands. Those marked [N] are known by number and name only.
const (
	CommandAuthenticationRequest     Command = 1  // server [C]
	CommandAuthenticationResponse    Command = 2  // phone [C]
	CommandKeyGenerationRequest      Command = 3  // server [C]
	CommandKeyGenerationResponse     Command = 4  // phone [C]
	CommandEncryptRequest            Command = 5  // [N] which of 5 and 6 is the request is not certain
	CommandEncryptResponse           Command = 6  // [N]
	CommandDecryptRequest            Command = 7  // [N]
	CommandDecryptResponse           Command = 8  // [N]
	CommandStoreCertificateRequest   Command = 9  // server [C]
	CommandStoreCertificateResponse  Command = 10 // phone [C]
	CommandFetchCertificateRequest   Command = 11 // server [P]
	CommandFetchCertificateResponse  Command = 12 // phone [P]
	CommandDeleteCertificateRequest  Command = 13 // server [P]
	CommandDeleteCertificateResponse Command = 14 // phone [P]
	CommandEndSession                Command = 15 // server [C]
	CommandRetryLater                Command = 16 // server [N] presumably with a retry delay
	CommandRequestInProgress         Command = 17 // phone [P]
	CommandStatusRequest             Command = 18 // [N]
	CommandStatusResponse            Command = 19 // [N]
	CommandAbortRequest              Command = 20 // [N]
	CommandAbortResponse             Command = 21 // [N]
	CommandSignCertificateRequest    Command = 22 // [N]
	CommandSignCertificateResponse   Command = 23 // [N]
)

var commandNames = [...]string{
	CommandAuthenticationRequest:     "authentication request",
	CommandAuthenticationResponse:    "authentication response",
	CommandKeyGenerationRequest:      "key generation request",
	CommandKeyGenerationResponse:     "key generation response",
	CommandEncryptRequest:            "encrypt request",
	CommandEncryptResponse:           "encrypt response",
	CommandDecryptRequest:            "decrypt request",
	CommandDecryptResponse:           "decrypt response",
	CommandStoreCertificateRequest:   "store certificate request",
	CommandStoreCertificateResponse:  "store certificate response",
	CommandFetchCertificateRequest:   "fetch certificate request",
	CommandFetchCertificateResponse:  "fetch certificate response",
	CommandDeleteCertificateRequest:  "delete certificate request",
	CommandDeleteCertificateResponse: "delete certificate response",
	CommandEndSession:                "end session",
	CommandRetryLater:                "retry later",
	CommandRequestInProgress:         "request in progress",
	CommandStatusRequest:             "status request",
	CommandStatusResponse:            "status response",
	CommandAbortRequest:              "abort request",
	CommandAbortResponse:             "abort response",
	CommandSignCertificateRequest:    "sign certificate request",
	CommandSignCertificateResponse:   "sign certificate response",
}

// String is the name of the command, or "command N" where it has none.
func (c Command) String() string { return nameOf(commandNames[:], uint8(c), "command") }

// nameOf is the name at a place of a table, or the kind of thing and its number.
func nameOf(names []string, number uint8, kind string) string {
	if int(number) < len(names) && names[number] != "" {
		return names[number]
	}
	return fmt.Sprintf("%s %d", kind, number)
}
