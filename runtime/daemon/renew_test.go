package daemon

import (
	"strings"
	"testing"
	"time"

	"capf/runtime/capf"
)

// An LSC that ends with the CAPF certificate is not renewed: the next one would end with it too, and be due
// again and again. The log says what to do.
func TestNoRenewalAtTheEndOfTheIssuer(t *testing.T) {
	c := newTrial(t)
	c.set(capf.ParamValidity, "30d")
	c.enrol(deviceA)
	ends := c.phone(deviceA).LSC.NotAfter
	c.upkeep.issuerEnds = func() time.Time { return ends }
	c.set(capf.ParamRenewal, capf.RenewalOn)
	c.at(time.Date(2026, 3, 28, 2, 0, 0, 0, time.Local))
	c.step()
	if said := c.said(); !strings.Contains(said, "capf ca renew") || !strings.Contains(said, deviceA) {
		t.Errorf("the log says %s", said)
	}
	c.check("its last operation", c.phone(deviceA).Last.CreatedBy, "tester")

	c.upkeep.issuerEnds = func() time.Time { return ends.Add(time.Hour) }
	c.at(time.Date(2026, 3, 29, 2, 0, 0, 0, time.Local))
	c.step()
	c.check("with an issuer that lives longer", c.phone(deviceA).Last.CreatedBy, capf.ActorRenewal)
}
