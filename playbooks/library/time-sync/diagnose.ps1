# Gathers the facts about this PC's clock: how far it is from a domain controller's, by two means,
# and why Windows does not set it right. Sets nothing. One probe is active: nltest /sc_verify makes
# Netlogon try its channel now, as at every logon, because the time of the domain is signed with the
# PC's own password.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: diagnose.takes.json, diagnose.gives.json.
# A probe that fails yields null and an entry in probe_errors; each is bounded in time. Nothing here
# reads text that Windows translates.
param($Params)

#include probe.ps1
#include tool.ps1
#include netlogon.ps1
#include clock.ps1
#include measure-clock.ps1
#include time-service.ps1

$computer = [PSCustomObject][ordered]@{
    name = $null; domain = $null; part_of_domain = $null; domain_role = $null; model = $null; hypervisor = $null
}
$system = Invoke-Probe 'computer' { Get-CimInstance -ClassName Win32_ComputerSystem -OperationTimeoutSec 10 }
if ($null -ne $system) {
    $computer.name = [string]$system.Name
    if ($system.Domain) { $computer.domain = [string]$system.Domain }
    $computer.part_of_domain = [bool]$system.PartOfDomain
    $computer.domain_role = [int]$system.DomainRole
    if ($system.Model) { $computer.model = [string]$system.Model }
    # Windows before 8 does not have it.
    if ($null -ne $system.HypervisorPresent) { $computer.hypervisor = [bool]$system.HypervisorPresent }
}

$elevated = Invoke-Probe 'elevation' {
    $principal = New-Object System.Security.Principal.WindowsPrincipal ([System.Security.Principal.WindowsIdentity]::GetCurrent())
    # False for an administrator whose token UAC has filtered.
    $principal.IsInRole([System.Security.Principal.WindowsBuiltInRole]::Administrator)
}

$missing = [PSCustomObject][ordered]@{ status = $null; start_type = $null }
$services = [PSCustomObject][ordered]@{ w32time = $missing; host_time = $missing }
$null = Invoke-Probe 'services' {
    $services.w32time = Get-ServiceFacts 'W32Time'
    # Hyper-V's: it hands the host's time to W32Time.
    $services.host_time = Get-ServiceFacts 'vmictimesync'
}

$config = [PSCustomObject][ordered]@{
    sync_type = $null; sync_type_policy = $null; peers = $null; peers_policy = $null
    client_enabled = $null; client_enabled_policy = $null; host_provider_enabled = $null
    max_forward_seconds = $null; max_backward_seconds = $null; tls_seeding = $null; left_over = $null
}
$null = Invoke-Probe 'config' {
    $config.sync_type = Get-SyncType $TimeKey
    $config.sync_type_policy = Get-SyncType $TimePolicy
    $peers = [string](Get-RegistryValue ($TimeKey + '\Parameters') 'NtpServer')
    if ($peers) { $config.peers = $peers }
    $peers = [string](Get-RegistryValue ($TimePolicy + '\Parameters') 'NtpServer')
    if ($peers) { $config.peers_policy = $peers }
    $enabled = Get-RegistryNumber ($TimeKey + '\TimeProviders\NtpClient') 'Enabled'
    if ($null -ne $enabled) { $config.client_enabled = $enabled -ne 0 }
    $enabled = Get-RegistryNumber ($TimePolicy + '\TimeProviders\NtpClient') 'Enabled'
    if ($null -ne $enabled) { $config.client_enabled_policy = $enabled -ne 0 }
    $enabled = Get-RegistryNumber ($TimeKey + '\TimeProviders\VMICTimeProvider') 'Enabled'
    if ($null -ne $enabled) { $config.host_provider_enabled = $enabled -ne 0 }
    $config.max_forward_seconds = Get-RegistryNumber ($TimePolicy + '\Config') 'MaxPosPhaseCorrection'
    if ($null -eq $config.max_forward_seconds) {
        $config.max_forward_seconds = Get-RegistryNumber ($TimeKey + '\Config') 'MaxPosPhaseCorrection'
    }
    $config.max_backward_seconds = Get-RegistryNumber ($TimePolicy + '\Config') 'MaxNegPhaseCorrection'
    if ($null -eq $config.max_backward_seconds) {
        $config.max_backward_seconds = Get-RegistryNumber ($TimeKey + '\Config') 'MaxNegPhaseCorrection'
    }
    $seeding = Get-RegistryNumber ($TimeKey + '\Config') 'UtilizeSslTimeData'
    if ($null -ne $seeding) { $config.tls_seeding = $seeding -ne 0 }
    $config.left_over = Test-Saved
}

$dc = [PSCustomObject][ordered]@{ located = $null; error = $null; name = $null }
$clock = [PSCustomObject][ordered]@{
    offset_seconds = $null; source = $null; sntp_seconds = $null; ldap_seconds = $null; sources_agree = $null
}
$channel = [PSCustomObject][ordered]@{ control_error = $null; connection_status = $null; trust_status = $null }
if ($computer.part_of_domain -eq $true -and $null -ne $computer.domain) {
    $null = Invoke-Probe 'locate' {
        if ($Params.domain_controller) {
            $dc.name = ([string]$Params.domain_controller).ToLowerInvariant()
            $dc.located = $false
            # If it does not resolve: WSAHOST_NOT_FOUND, until the call says otherwise.
            $dc.error = 11001L
            $null = Resolve-Address $dc.name 8000
            $dc.located = $true
            $dc.error = 0L
        } else {
            $found = Find-DomainController $computer.domain 30000
            $dc.error = $found.error
            $dc.located = $found.error -eq 0
            $dc.name = $found.name
        }
    }
    if ($dc.located -eq $true) {
        $measured = Measure-Clock $dc.name
        $clock.offset_seconds = $measured.offset
        $clock.source = $measured.source
        $clock.sntp_seconds = $measured.sntp
        $clock.ldap_seconds = $measured.ldap
        $clock.sources_agree = $measured.agree
    }
    $answer = Invoke-Probe 'channel' { Invoke-Netlogon 'sc_verify' 10 $computer.domain 40000 }
    if ($null -ne $answer) {
        $channel.control_error = $answer.control_error
        $channel.connection_status = $answer.connection_status
        $channel.trust_status = $answer.trust_status
    }
}

[PSCustomObject][ordered]@{
    elevated = $elevated
    computer = $computer
    services = $services
    config = $config
    dc = $dc
    clock = $clock
    channel = $channel
    probe_errors = $ProbeErrors.ToArray()
}
