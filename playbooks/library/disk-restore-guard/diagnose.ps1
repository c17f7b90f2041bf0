# Gathers what may undo changes of this PC's disk at its starts, and what that has done to the trust
# with the domain. Changes nothing that lasts: nltest /sc_verify makes Netlogon try its channel now,
# and nltest /dsgetdc /force makes the locator forget what it remembers, as any logon does.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: diagnose.takes.json, diagnose.gives.json.
# A probe that fails yields null and an entry in probe_errors; each is bounded in time. Nothing here
# reads text that Windows translates: names of products are their makers'.
param($Params)

#include probe.ps1
#include tool.ps1
#include netlogon.ps1
#include machine-secret.ps1
#include rotation.ps1
#include uwf.ps1
#include marker.ps1
#include freeze-signs.ps1

$computer = [PSCustomObject][ordered]@{ name = $null; domain = $null; part_of_domain = $null; domain_role = $null; model = $null }
$system = Invoke-Probe 'computer' { Get-CimInstance -ClassName Win32_ComputerSystem -OperationTimeoutSec 10 }
if ($null -ne $system) {
    $computer.name = [string]$system.Name
    if ($system.Domain) { $computer.domain = [string]$system.Domain }
    $computer.part_of_domain = [bool]$system.PartOfDomain
    $computer.domain_role = [int]$system.DomainRole
    if ($system.Model) { $computer.model = [string]$system.Model }
}
$joined = $computer.part_of_domain -eq $true -and $null -ne $computer.domain

$elevated = Invoke-Probe 'elevation' {
    $principal = New-Object System.Security.Principal.WindowsPrincipal ([System.Security.Principal.WindowsIdentity]::GetCurrent())
    # False for an administrator whose token UAC has filtered.
    $principal.IsInRole([System.Security.Principal.WindowsBuiltInRole]::Administrator)
}

$channel = @{ control_error = $null; connection_status = $null; trust_status = $null; dc = $null }
$dc = [PSCustomObject][ordered]@{ located = $null; error = $null; name = $null; site = $null }
if ($joined) {
    $answer = Invoke-Probe 'channel' { Invoke-Netlogon 'sc_verify' 10 $computer.domain 40000 }
    if ($null -ne $answer) { $channel = $answer }
    $null = Invoke-Probe 'locate' {
        $netlogon = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey('SYSTEM\CurrentControlSet\Services\Netlogon\Parameters')
        if ($null -ne $netlogon) {
            try { $dc.site = $netlogon.GetValue('DynamicSiteName') } finally { $netlogon.Close() }
        }
        if ($Params.domain_controller) {
            $dc.name = ([string]$Params.domain_controller).ToLowerInvariant()
        } else {
            $found = Find-DomainController $computer.domain 30000
            $dc.error = $found.error
            $dc.located = $found.error -eq 0
            $dc.name = $found.name
        }
    }
}

$uwf = Invoke-Probe 'uwf' { Get-Uwf }

# The operator's own signs come as one text.
$signatures = New-Object System.Collections.ArrayList
foreach ($signature in @(Get-FreezeSignatures)) { [void]$signatures.Add($signature) }
$null = Invoke-Probe 'own-signatures' {
    if ($Params.own_signatures) {
        foreach ($part in ([string]$Params.own_signatures -split ',')) {
            $pair = $part.Trim() -split ':', 2
            # ERROR_INVALID_PARAMETER
            if ($pair.Count -ne 2 -or @('service', 'filter', 'program', 'key') -notcontains $pair[0] -or -not $pair[1].Trim()) {
                throw (New-Object System.ComponentModel.Win32Exception 87)
            }
            $name = $pair[1].Trim()
            [void]$signatures.Add([PSCustomObject]@{ product = $name; layer = 'disk'; kind = $pair[0]; name = $name; sure = $true })
        }
    }
}
$guards = Invoke-Probe 'products' {
    $programs = @(Get-ProgramNames)
    $filters = @(Get-VolumeFilters)
    $signs = New-Object System.Collections.ArrayList
    $disks = New-Object System.Collections.ArrayList
    $layers = New-Object System.Collections.ArrayList
    foreach ($signature in $signatures) {
        if (-not (Test-Signature $signature $programs $filters)) { continue }
        $product = [string]$signature.product
        [void]$signs.Add([PSCustomObject][ordered]@{
            product = $product
            kind = [string]$signature.kind
            name = [string]$signature.name
            sure = [bool]$signature.sure
        })
        $list = $disks
        if ([string]$signature.layer -eq 'image') { $list = $layers }
        if (-not $list.Contains($product)) { [void]$list.Add($product) }
    }
    @{ products = $disks.ToArray(); images = $layers.ToArray(); found = $signs.ToArray() }
}
if ($null -eq $guards) { $guards = @{ products = $null; images = $null; found = @() } }

$rotation = [PSCustomObject][ordered]@{ maximum_age_days = $null; changes_disabled = $null; changes_refused = $null }
$read = Invoke-Probe 'rotation' { Get-Rotation }
if ($null -ne $read) { $rotation = $read }
$policy = [PSCustomObject][ordered]@{ maximum_age = $null; changes_disabled = $null }
$null = Invoke-Probe 'policy' {
    $templates = @{
        age = $null -ne (Get-RegistryNumber $PolicyKey 'MaximumPasswordAge')
        disabled = $null -ne (Get-RegistryNumber $PolicyKey 'DisablePasswordChange')
    }
    # What Windows noted when it last applied Group Policy, security options among it.
    $applied = @(Get-CimInstance -Namespace 'root\rsop\computer' -ClassName RSOP_RegistryValue -OperationTimeoutSec 20)
    $names = @($applied | ForEach-Object { ([string]$_.Path).ToLowerInvariant() })
    $place = 'machine\system\currentcontrolset\services\netlogon\parameters\'
    $policy.maximum_age = $templates.age -or $names -contains ($place + 'maximumpasswordage')
    $policy.changes_disabled = $templates.disabled -or $names -contains ($place + 'disablepasswordchange')
}

$own = [PSCustomObject][ordered]@{ last_set_unix = $null }
if ($joined) {
    $null = Invoke-Probe 'machine-secret' {
        $set = Get-MachineSecretTime
        # 1970 by that count.
        $own.last_set_unix = [Math]::Round(($set - 116444736000000000) / 10000000.0, 3)
    }
}

# Provider and id together name an event; ids alone are used by several.
$wanted = @{
    'Microsoft-Windows-Kernel-General' = @(12)
    'EventLog' = @(6008)
    'NETLOGON' = @(3210, 5823)
}
$events = [PSCustomObject][ordered]@{
    hours = [int]$Params.event_hours; starts = $null; unclean_ends = $null; refusals = $null; password_changes = $null
}
$null = Invoke-Probe 'events' {
    $since = [datetime]::Now.AddHours(-[int]$Params.event_hours)
    try {
        $filter = @{ LogName = 'System'; Id = @(12, 6008, 3210, 5823); StartTime = $since }
        $seen = @(Invoke-BoundedCmdlet 'Get-WinEvent' @{ FilterHashtable = $filter; MaxEvents = 2000 } 15000)
    } catch {
        if ((Get-ErrorId $_) -ne 'NoMatchingEventsFound,Microsoft.PowerShell.Commands.GetWinEventCommand') { throw }
        $seen = @()
    }
    $ours = @($seen | Where-Object { $wanted.ContainsKey($_.ProviderName) -and $wanted[$_.ProviderName] -contains $_.Id })
    $events.starts = @($ours | Where-Object { $_.Id -eq 12 }).Count
    $events.unclean_ends = @($ours | Where-Object { $_.Id -eq 6008 }).Count
    $events.refusals = @($ours | Where-Object { $_.Id -eq 3210 }).Count
    $events.password_changes = @($ours | Where-Object { $_.Id -eq 5823 }).Count
}

# Value 2 of the policy, or of the setting that Lsa took over from it: the secret is in Credential
# Guard.
$isolated = Invoke-Probe 'isolation' {
    $values = @()
    foreach ($place in 'SOFTWARE\Policies\Microsoft\Windows\DeviceGuard', 'SYSTEM\CurrentControlSet\Control\Lsa') {
        $values += Get-RegistryNumber $place 'MachineIdentityIsolation'
    }
    $values -contains 2
}

# A marker of a test that was cut, from before the last start.
$survived = Invoke-Probe 'marker' {
    $registry = Get-RegistryMarker
    $file = Get-FileMarker
    if (-not $registry -or $registry -ne $file) { return $false }
    $planted = 0L
    if (-not [long]::TryParse((([string]$registry) -split ' ')[1], [ref]$planted)) { return $false }
    # A clock that is being set moves the time of the start by seconds.
    (Get-StartTime) -gt $planted + 30
}

[PSCustomObject][ordered]@{
    elevated = $elevated
    computer = $computer
    channel = [PSCustomObject][ordered]@{
        control_error = $channel.control_error
        connection_status = $channel.connection_status
        trust_status = $channel.trust_status
        dc = $channel.dc
    }
    dc = $dc
    uwf = $uwf
    products = $guards.products
    images = $guards.images
    found = $guards.found
    rotation = $rotation
    policy = $policy
    secret = $own
    events = $events
    isolation_enforced = $isolated
    marker_survived = $survived
    probe_errors = $ProbeErrors.ToArray()
}
