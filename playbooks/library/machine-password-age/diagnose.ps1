# Gathers how this PC changes its machine password, who says so, and how old the present one is.
# Changes nothing.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: diagnose.takes.json, diagnose.gives.json.
# A probe that fails yields null and an entry in probe_errors; each is bounded in time. Nothing here
# reads text that Windows translates.
param($Params)

#include probe.ps1
#include machine-secret.ps1
#include rotation.ps1

$computer = [PSCustomObject][ordered]@{ name = $null; domain = $null; part_of_domain = $null; domain_role = $null }
$system = Invoke-Probe 'computer' { Get-CimInstance -ClassName Win32_ComputerSystem -OperationTimeoutSec 10 }
if ($null -ne $system) {
    $computer.name = [string]$system.Name
    if ($system.Domain) { $computer.domain = [string]$system.Domain }
    $computer.part_of_domain = [bool]$system.PartOfDomain
    $computer.domain_role = [int]$system.DomainRole
}

$elevated = Invoke-Probe 'elevation' {
    $principal = New-Object System.Security.Principal.WindowsPrincipal ([System.Security.Principal.WindowsIdentity]::GetCurrent())
    # False for an administrator whose token UAC has filtered.
    $principal.IsInRole([System.Security.Principal.WindowsBuiltInRole]::Administrator)
}

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
    $own = 'machine\system\currentcontrolset\services\netlogon\parameters\'
    $policy.maximum_age = $templates.age -or $names -contains ($own + 'maximumpasswordage')
    $policy.changes_disabled = $templates.disabled -or $names -contains ($own + 'disablepasswordchange')
}

$age = $null
if ($computer.part_of_domain -eq $true) {
    $age = Invoke-Probe 'age' {
        # A FILETIME; the clock of the PC wrote it and counts.
        $set = [datetime]::FromFileTimeUtc((Get-MachineSecretTime))
        [Math]::Round(([datetime]::UtcNow - $set).TotalDays, 2)
    }
}

[PSCustomObject][ordered]@{
    elevated = $elevated
    computer = $computer
    rotation = $rotation
    policy = $policy
    password_age_days = $age
    probe_errors = $ProbeErrors.ToArray()
}
