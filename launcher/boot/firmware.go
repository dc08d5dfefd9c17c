package boot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"google.golang.org/grpc/codes"

	"github.com/virtplane/virtplane/launcher/api"
	"github.com/virtplane/virtplane/launcher/convert"
	"github.com/virtplane/virtplane/launcher/disk"
	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// Firmware files as Debian's package ovmf names them.
const (
	codePlain  = "OVMF_CODE_4M.fd"
	codeSecure = "OVMF_CODE_4M.secboot.fd"
	varsPlain  = "OVMF_VARS_4M.fd"
	// varsSecure hold the keys of the usual operating systems.
	varsSecure = "OVMF_VARS_4M.ms.fd"
	varsFile   = "uefi-vars.fd"
)

// uefi gives the firmware and its variables: a fresh copy, or those that the machine had before.
func (r *request) uefi(secure, persistent bool) (code, vars string, err error) {
	code, template := codePlain, varsPlain
	if secure {
		code, template = codeSecure, varsSecure
	}
	code = filepath.Join(r.Paths.Firmware, code)
	if err := disk.CheckFile(code); err != nil {
		return "", "", api.Errorf(codes.FailedPrecondition, api.ReasonFirmwareMissing, "uefi firmware: %w", err)
	}
	vars = filepath.Join(r.Paths.Private, varsFile)
	if persistent {
		if err := r.hasState("spec.domain.firmware.bootloader.efi.persistent", "variables that live as long as the instance"); err != nil {
			return "", "", err
		}
		vars = filepath.Join(r.Paths.State, varsFile)
		if disk.CheckFile(vars) == nil {
			return code, vars, nil
		}
	}
	if err := disk.Copy(vars, filepath.Join(r.Paths.Firmware, template)); err != nil {
		return "", "", api.Wrap(fmt.Errorf("uefi variables: %w", err), codes.FailedPrecondition, api.ReasonFirmwareMissing)
	}
	return code, vars, nil
}

// hasState wants the folder whose content outlives the pod; otherwise says what leaving the field out gives.
func (r *request) hasState(field, otherwise string) error {
	info, err := os.Stat(r.Paths.State)
	switch {
	case err == nil && info.IsDir():
		return nil
	case err == nil || errors.Is(err, fs.ErrNotExist):
		return api.Errorf(codes.InvalidArgument, api.ReasonUnsupportedField, "%s: is not supported, the pod has no claim for state that outlives the instance; leave it out for %s", field, otherwise)
	}
	return api.Wrap(fmt.Errorf("%s: %w", field, err), codes.Unavailable, api.ReasonClaimUnavailable)
}

// acpiTables wants the files of the tables that the VMI names.
func (r *request) acpiTables(a *virtv1.ACPI) error {
	if a == nil {
		return nil
	}
	for _, t := range convert.ACPITables(a, r.Paths) {
		if err := disk.CheckFile(t.File); err != nil {
			return api.Errorf(codes.FailedPrecondition, api.ReasonSecretMissing, "spec.domain.firmware.acpi.%s: the Secret of volume %s must have the key %s: %w", t.Field, t.Volume, filepath.Base(t.File), err)
		}
	}
	return nil
}
