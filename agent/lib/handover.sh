# shellcheck shell=sh
# The end of stage-0. Whatever comes after it finds PCR 14 extended: with the release's digest when the
# release is started, with the poison value on every other way out. So it can never pass for a boot.

# handover_release HOW: kexec or print. Nothing but this function starts a release. The kernel is loaded
# first, so that one that the firmware's keys do not allow ends in poison and not in a half-way state.
handover_release() {
  handover_read_manifest
  case $1-$handover_kind in
    kexec-kexec) handover_kexec_load ;;
    print-*) ;;
    *) stop handover-unsupported "This agent cannot hand over by $handover_kind." ;;
  esac
  handover_spend_pcr14
  mark handover "how=$1" "version=$handover_version" "digest=$handover_digest"
  say "Handing over to $handover_name."
  case $1 in
    kexec) kexec -e || stop handover-failed "The loaded kernel does not start." ;;
    print) jq -c --arg kernel "$BOOTWARD_RUN/release/kernel" --arg initramfs "$BOOTWARD_RUN/release/initramfs" \
      '{handover, cmdline, $kernel, $initramfs}' "$BOOTWARD_RUN/release/manifest.json" ;;
  esac
}

handover_read_manifest() {
  handover_manifest=$BOOTWARD_RUN/release/manifest.json
  handover_digest=$(sha256_of "$handover_manifest")
  handover_kind=$(jq -r .handover "$handover_manifest")
  handover_version=$(jq -r .version "$handover_manifest")
  handover_name=$(jq -r .name "$handover_manifest")
}

# kexec_file_load: the kernel itself checks the signature where Secure Boot locks it down.
handover_kexec_load() {
  handover_boot_note >"$BOOTWARD_RUN/release/initrd"
  cat "$BOOTWARD_RUN/release/initramfs" >>"$BOOTWARD_RUN/release/initrd"
  rm -f "$BOOTWARD_RUN/release/initramfs"
  kexec -s -l "$BOOTWARD_RUN/release/kernel" --initrd="$BOOTWARD_RUN/release/initrd" \
    --command-line="$(jq -r .cmdline "$handover_manifest")" 2>"$BOOTWARD_RUN/kexec.log" ||
    stop handover-failed "The release's kernel does not load: $(tail -n 1 "$BOOTWARD_RUN/kexec.log")"
}

# A small uncompressed cpio in front of the release's own: /run/bootward/boot.json tells the release what
# was decided. It is a note, not a proof.
handover_boot_note() {
  handover_root=$BOOTWARD_RUN/note
  mkdir -p "$handover_root/run/bootward"
  jq -cn --slurpfile manifest "$handover_manifest" --slurpfile facts "$BOOTWARD_RUN/attest/facts" \
    --arg digest "$handover_digest" --arg ek "$(sha256_of "$BOOTWARD_RUN/tpm/ek.der")" --argjson build "$stage0_build" \
    '{release: ($manifest[0] | {channel, version, name, digest: $digest}), facts: $facts[0],
      ekFingerprint: $ek, stage0Build: $build}' >"$handover_root/run/bootward/boot.json"
  (cd "$handover_root" && printf 'run\nrun/bootward\nrun/bootward/boot.json\n' | cpio -o -H newc 2>/dev/null)
}

# SHA-256(32 zero bytes, release digest) is what health evidence must show: anything else is not handed to.
handover_spend_pcr14() {
  handover_expected=$(unhex "$PCR_ZERO$handover_digest" | sha256sum | cut -c 1-64)
  tpm_extend_pcr14 "$handover_digest" && [ "$(tpm_pcr14)" = "$handover_expected" ] ||
    stop pcr14-not-extended "PCR 14 does not take the release's digest: not handing over."
}

# handover_poison: leaves no PCR 14 of zero behind, however this ends; called again it does nothing.
handover_poison() {
  mkdir -p "$BOOTWARD_RUN"
  case $(tpm_pcr14) in
    '' | "$PCR_ZERO") ;;
    *) return 0 ;;
  esac
  tpm_extend_pcr14 "$(printf 'bootward poison v1' | sha256sum | cut -c 1-64)" || return
  mark poison
}
