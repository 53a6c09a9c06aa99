package session

import (
	"fmt"

	"capf/runtime/capf"
	"capf/runtime/wire"
)

// deleteLSC has the phone delete its LSC. The request is bare, as in the recording delete-lsc: an LSC is
// the only certificate that CAPF deletes.
func (s *session) deleteLSC() (capf.Outcome, error) {
	if err := s.send(wire.DeleteCertificateRequest{}.Message(s.id)); err != nil {
		return capf.Outcome{}, err
	}
	message, err := s.receive(s.server.Settings.MessageTimeout)
	if err != nil {
		return capf.Outcome{}, err
	}
	response, unknown, err := wire.Read[wire.DeleteCertificateResponse](message)
	s.skipped(unknown)
	if err != nil {
		return capf.Outcome{}, err
	}
	if response.Reason.Value != wire.ReasonSuccess {
		return failed(capf.ResultFailed, fmt.Sprintf("the phone did not delete its LSC (reason %d)", response.Reason.Value)), nil
	}
	return capf.Outcome{Ending: capf.EndingSuccess, Result: capf.ResultSuccess, LSC: capf.LSCNone}, nil
}
