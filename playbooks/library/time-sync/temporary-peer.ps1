# Makes W32Time ask the domain controller as a plain NTP server, once, and puts the settings back.
# For a PC whose broken trust keeps it from the signed time of the domain. What was set before is
# kept in the registry until it is back, so that a cut run can be mended: by this script, or by
# resync.ps1. Run twice it does the same again.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: temporary-peer.takes.json and .gives.json.
# Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include tool.ps1
#include time-service.ps1

$server = [string]$Params.domain_controller
# ERROR_INVALID_NAME. W32Time separates servers by blanks and flags by commas.
if ($server -notmatch '^[A-Za-z0-9][A-Za-z0-9._-]*\z') {
    throw (New-Object System.ComponentModel.Win32Exception 123)
}

$text = [Microsoft.Win32.RegistryValueKind]::String
$running = $null
$resync = $null
$restored = $null
try {
    $changed = Invoke-Probe 'config' {
        Save-TimeSettings
        # 0x8 is client mode: a controller does not answer the symmetric one to everybody.
        Set-RegistryValue ($TimeKey + '\Parameters') 'NtpServer' ($server + ',0x8') $text
        Set-RegistryValue ($TimeKey + '\Parameters') 'Type' 'NTP' $text
        $true
    }
    if ($changed -eq $true) {
        $running = Invoke-Probe 'start' { Start-TimeService }
        $null = Invoke-Probe 'update' { Update-TimeService }
        $resync = Invoke-Probe 'resync' { Sync-TimeService }
    }
} finally {
    $restored = Invoke-Probe 'restore' { Restore-TimeSettings }
    $null = Invoke-Probe 'update' { Update-TimeService }
}

[PSCustomObject][ordered]@{
    running = $running
    resync_exit_code = $resync
    settings_restored = $restored
    probe_errors = $ProbeErrors.ToArray()
}
